//! What one place did, of a record, as lines of text for people and for comparisons.

use super::record::{Actor, Record, Step};
use crate::device::Note;
use crate::edges::Place;

const AGGREGATION: [&str; 4] = ["SCAN", "BIAS", "TAIL_COPY", "GATHER"];

pub(super) fn trace(record: &Record, place: Place) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for node in &record.nodes {
        let here = match (place, node.actor) {
            (Place::Host, Actor::Host) | (Place::Sink, Actor::Sink) => true,
            (_, Actor::Stream(_)) => record.actor_name(node.actor) == place.name(),
            _ => false,
        };
        if here {
            push(&mut lines, &node.step);
        } else if place == Place::Host && record.actor_name(node.actor) == Place::Drain.name() {
            // The host queues the exact-size copies at drain time; that is part of its own sequence.
            if let Step::Operation { tag, .. } = &node.step {
                lines.push(format!("queue {}", tag.name));
            }
        }
    }
    lines
}

fn push(lines: &mut Vec<String>, step: &Step) {
    match step {
        // What a left-out ZERO still owes at a partial epoch is part of that ZERO.
        Step::Operation { tag, .. } if ["UPLOAD", "ZERO_REST"].contains(&tag.name) => {}
        Step::Operation { tag, .. } if AGGREGATION.contains(&tag.name) => {
            if lines.last().is_none_or(|last| last != "AGGREGATE") {
                lines.push("AGGREGATE".to_owned());
            }
        }
        Step::Operation { tag, .. } | Step::HostOperation { tag, .. } => lines.push(match tag.unit {
            crate::device::Unit::Slot(slot) => format!("{} {slot}", tag.name),
            _ => tag.name.to_owned(),
        }),
        Step::Record { edge } if edge.name == "SEED" => {}
        Step::Record { edge } => lines.push(format!("R {edge}")),
        Step::Wait { edge, .. } => lines.push(format!("W {edge}")),
        Step::CounterWait { at_least, .. } => lines.push(format!("V≥{at_least}")),
        Step::HostWait { edge, .. } => lines.push(format!("P {edge}")),
        Step::Publish { value, .. } => lines.push(format!("publish {value}")),
        Step::FenceRecord { edge, .. } => lines.push(format!("fence {edge}")),
        Step::FenceWait { edge, .. } => lines.push(format!("wait {edge}")),
        Step::Note(Note::Kick { batch, .. }) => lines.push(format!("K{batch}")),
        Step::Note(Note::Drain { batch, .. }) => lines.push(format!("D{batch}")),
        Step::Note(_)
        | Step::Synchronize { .. }
        | Step::Returned { .. }
        | Step::HandedOver { .. }
        | Step::Cancelled => {}
    }
}
