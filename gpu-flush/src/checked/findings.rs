//! What a check of a record finds: where, between what, and in which words it is told.

use std::collections::HashMap;
use std::fmt;

use super::order::Order;
use super::record::{Record, Step};
use crate::device::{Access, BufferId, Label, Note, Tag};

/// Where something happened and what it was, such as `compute ZERO of slot 0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The stream, `host` or `io`.
    pub actor: &'static str,
    /// The operation.
    pub tag: Tag,
}

impl fmt::Display for Site {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.actor, self.tag)
    }
}

/// Two accesses to the same bytes, at least one of them a write, that nothing orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The one recorded first.
    pub first: Site,
    /// The other.
    pub second: Site,
    /// The buffer.
    pub buffer: Label,
    /// First common byte.
    pub start: u64,
    /// One past the last common byte.
    pub end: u64,
}

/// Something wrong with a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Unordered accesses.
    Conflict(Conflict),
    /// Steps that wait for each other in a circle, in the order of the circle.
    Cycle(Vec<String>),
    /// A counter wait that no publication satisfies.
    Unsatisfied(String),
    /// A host call that breaks a rule.
    RuleBroken {
        /// The rule.
        rule: &'static str,
        /// What was done.
        what: String,
    },
    /// The sink holds bytes by reference that the record does not show it reading.
    UnrecordedSinkRead {
        /// The fence.
        edge: Label,
        /// Ranges the sink holds.
        held: u64,
        /// Ranges recorded.
        recorded: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(conflict) => write!(
                formatter,
                "nothing orders {} against {} on {} bytes {}..{}",
                conflict.first, conflict.second, conflict.buffer, conflict.start, conflict.end
            ),
            Self::Cycle(steps) => write!(formatter, "a cycle of waits: {}", steps.join(" → ")),
            Self::Unsatisfied(wait) => write!(formatter, "nothing satisfies {wait}"),
            Self::RuleBroken { rule, what } => write!(formatter, "{rule} is broken: {what}"),
            Self::UnrecordedSinkRead { edge, held, recorded } => {
                write!(formatter, "at {edge} the sink holds {held} ranges by reference, the record shows {recorded}")
            }
        }
    }
}

/// The outcome of a check.
#[derive(Debug, Clone)]
pub struct Report {
    /// Operations recorded, on streams, host and sink.
    pub operations: usize,
    /// Buffers touched.
    pub buffers: usize,
    /// Conflicting pairs that were tested for order.
    pub pairs: usize,
    /// What is wrong. A pair of sites is listed once per buffer.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The unordered pairs.
    pub fn conflicts(&self) -> impl Iterator<Item = &Conflict> {
        self.findings.iter().filter_map(|finding| match finding {
            Finding::Conflict(conflict) => Some(conflict),
            _ => None,
        })
    }

    /// Whether a conflict between these two operations on this buffer is reported, in either order.
    /// A site is given as it prints, for example `compress COMPRESS of batch 0`.
    #[must_use]
    pub fn has_conflict(&self, first: &str, second: &str, buffer: &str) -> bool {
        self.conflicts().any(|conflict| {
            let sites = (conflict.first.to_string(), conflict.second.to_string());
            let named = (sites.0 == first && sites.1 == second) || (sites.0 == second && sites.1 == first);
            named && conflict.buffer.to_string() == buffer
        })
    }
}

pub(super) fn report(record: &Record, without: &[&str]) -> Report {
    let order = Order::of(record, without);
    let mut findings = Vec::new();
    if !order.cycle.is_empty() {
        findings.push(Finding::Cycle(order.cycle.iter().map(|index| describe(record, *index)).collect()));
    }
    findings.extend(order.unsatisfied.iter().map(|index| Finding::Unsatisfied(describe(record, *index))));
    let mut uses: HashMap<BufferId, Vec<(usize, Access)>> = HashMap::new();
    let mut operations = 0;
    for (index, node) in record.nodes.iter().enumerate() {
        operations += usize::from(node.step.tag().is_some());
        for access in node.step.accesses() {
            uses.entry(access.buffer).or_default().push((index, *access));
        }
    }
    let mut pairs = 0;
    // Without an order there is nothing to test against.
    if order.cycle.is_empty() {
        let mut buffers: Vec<_> = uses.iter().collect();
        buffers.sort_by_key(|(buffer, _)| buffer.0);
        for (buffer, accesses) in buffers {
            pairs += conflicts(record, &order, *buffer, accesses, &mut findings);
        }
    }
    rules(record, &mut findings);
    Report { operations, buffers: uses.len(), pairs, findings }
}

fn conflicts(
    record: &Record,
    order: &Order,
    buffer: BufferId,
    accesses: &[(usize, Access)],
    findings: &mut Vec<Finding>,
) -> usize {
    let mut pairs = 0;
    let mut reported: Vec<(usize, usize)> = Vec::new();
    for (at, (first, access)) in accesses.iter().enumerate() {
        for (second, other) in &accesses[at + 1..] {
            let overlap = access.start.max(other.start)..access.end.min(other.end);
            let conflicting = first != second && (access.mode.writes() || other.mode.writes());
            if !conflicting || overlap.is_empty() {
                continue;
            }
            pairs += 1;
            if order.is_before(*first, *second) || order.is_before(*second, *first) {
                continue;
            }
            if reported.contains(&(*first, *second)) {
                continue;
            }
            reported.push((*first, *second));
            let (Some(first), Some(second)) = (site(record, *first), site(record, *second)) else { continue };
            let buffer = record.buffers.get(&buffer).copied().unwrap_or(Label::new("buffer", buffer.0));
            findings.push(Finding::Conflict(Conflict {
                first,
                second,
                buffer,
                start: overlap.start,
                end: overlap.end,
            }));
        }
    }
    pairs
}

fn site(record: &Record, index: usize) -> Option<Site> {
    let node = &record.nodes[index];
    Some(Site { actor: record.actor_name(node.actor), tag: node.step.tag()? })
}

/// The two host rules and the completeness of hand-overs, from the notes.
fn rules(record: &Record, findings: &mut Vec<Finding>) {
    let mut kicked: Vec<(u64, u32)> = Vec::new();
    for node in &record.nodes {
        match node.step {
            Step::Note(Note::Kick { batch, slot }) => {
                if let Some((held, _)) = kicked.iter().find(|(_, other)| *other == slot) {
                    let what = format!("batch {batch} was kicked into slot {slot}, which batch {held} still holds");
                    findings.push(Finding::RuleBroken { rule: "DRAIN_BEFORE_REKICK", what });
                }
                kicked.push((batch, slot));
            }
            Step::Note(Note::Drain { batch, .. }) => {
                if let Some((older, _)) = kicked.iter().find(|(other, _)| *other < batch) {
                    let what = format!("batch {batch} was drained before batch {older}");
                    findings.push(Finding::RuleBroken { rule: "DELIVER_OLDEST_FIRST", what });
                }
            }
            Step::Note(Note::Consumed { batch, .. }) => kicked.retain(|(other, _)| *other != batch),
            Step::FenceRecord { edge, direct_writes, handed_over } if direct_writes != handed_over => {
                findings.push(Finding::UnrecordedSinkRead { edge, held: direct_writes, recorded: handed_over });
            }
            _ => {}
        }
    }
}

pub(super) fn describe(record: &Record, index: usize) -> String {
    let node = &record.nodes[index];
    let step = match &node.step {
        Step::Operation { tag, .. } | Step::HostOperation { tag, .. } => tag.to_string(),
        Step::Record { edge } => format!("R {edge}"),
        Step::Wait { edge, .. } => format!("W {edge}"),
        Step::CounterWait { edge, at_least, .. } => format!("V≥{at_least} {}", edge.name),
        Step::HostWait { edge, .. } => format!("P {edge}"),
        Step::Synchronize { .. } => "synchronize".to_owned(),
        Step::Returned { tag } => format!("return of {tag}"),
        Step::Publish { edge, value, .. } => format!("publish {value} {}", edge.name),
        Step::HandedOver { tag } => format!("hand-over of {tag}"),
        Step::FenceRecord { edge, .. } => format!("fence {edge}"),
        Step::FenceWait { edge, .. } => format!("wait for {edge}"),
        Step::Note(note) => format!("{note:?}"),
        Step::Cancelled => "cancelled".to_owned(),
    };
    format!("{} {step}", record.actor_name(node.actor))
}
