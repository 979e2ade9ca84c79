//! Which slices the arrows join.

use crate::{BlockRecord, CoreId, TaskId};
use std::collections::HashMap;

/// One end of an arrow: a moment within a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) core: CoreId,
    pub(super) at_ns: u64,
}

/// An arrow from a producer's slice to a consumer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) from: End,
    pub(super) to: End,
}

/// Where a task begins and ends in the trace: its block that started first and its block that ended last.
#[derive(Clone, Copy)]
struct Span {
    first: End,
    /// The start of the block that ended last: a moment that surely lies within the slice.
    last: End,
    end_ns: u64,
}

/// One arrow for each pair of tasks that both have slices. A task without kernels has none; an arrow that would end at it goes on to its consumers, from
/// the producer that ended last, since that one decided when it was done.
pub(super) fn between(blocks: &[BlockRecord], edges: &[(TaskId, TaskId)]) -> Vec<Arrow> {
    let mut spans: HashMap<TaskId, Span> = HashMap::new();
    for block in blocks {
        let here = End { core: block.core, at_ns: block.start_ns };
        let span = spans.entry(block.task).or_insert(Span { first: here, last: here, end_ns: block.end_ns });
        if block.start_ns < span.first.at_ns {
            span.first = here;
        }
        if block.end_ns > span.end_ns {
            span.last = here;
            span.end_ns = block.end_ns;
        }
    }
    let mut producers: HashMap<TaskId, Vec<TaskId>> = HashMap::new();
    for &(producer, consumer) in edges {
        producers.entry(consumer).or_default().push(producer);
    }
    let mut through: HashMap<TaskId, Option<TaskId>> = HashMap::new();
    let mut arrows = Vec::new();
    let mut sorted: Vec<_> = edges.to_vec();
    sorted.sort_unstable_by_key(|&(producer, consumer)| (consumer, producer));
    sorted.dedup();
    for (producer, consumer) in sorted {
        let Some(to) = spans.get(&consumer) else { continue };
        let source = match spans.contains_key(&producer) {
            true => Some(producer),
            false => last_behind(producer, &spans, &producers, &mut through),
        };
        if let Some(from) = source.and_then(|source| spans.get(&source)) {
            arrows.push(Arrow { from: from.last, to: to.first });
        }
    }
    arrows.dedup();
    arrows
}

/// The task with slices that ended last among all that a task without slices waited for, through others like it. Without recursion, since such
/// tasks may form long chains.
fn last_behind(
    task: TaskId,
    spans: &HashMap<TaskId, Span>,
    producers: &HashMap<TaskId, Vec<TaskId>>,
    known: &mut HashMap<TaskId, Option<TaskId>>,
) -> Option<TaskId> {
    let mut stack = vec![task];
    while let Some(&top) = stack.last() {
        if known.contains_key(&top) {
            stack.pop();
            continue;
        }
        let behind = producers.get(&top).map_or(&[][..], Vec::as_slice);
        let open: Vec<TaskId> =
            behind.iter().copied().filter(|task| !spans.contains_key(task) && !known.contains_key(task)).collect();
        if !open.is_empty() {
            stack.extend(open);
            continue;
        }
        let last = behind
            .iter()
            .filter_map(|task| if spans.contains_key(task) { Some(*task) } else { known[task] })
            .max_by_key(|task| spans[task].end_ns);
        known.insert(top, last);
        stack.pop();
    }
    known[&task]
}
