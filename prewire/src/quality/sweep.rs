//! Goes through a run from moment to moment and adds up where a core idled for want of a dispatch.

use super::Overhead;
use super::graph::Tasks;
use crate::{BlockRecord, ChipSpec, CoreKind, TaskId};
use std::collections::HashMap;

/// What changes at a moment: how many cores of each kind are busy, and how many blocks wait for each.
#[derive(Clone, Copy)]
struct Change {
    at_ns: u64,
    busy: [i64; 2],
    waiting: [i64; 2],
}

pub(super) fn overhead(chip: &ChipSpec, blocks: &[BlockRecord], tasks: &Tasks, start_ns: u64, end_ns: u64) -> Overhead {
    let mut kinds: HashMap<TaskId, [i64; 2]> = HashMap::new();
    for block in blocks {
        kinds.entry(block.task).or_default()[chip.kind_of(block.core) as usize] = 1;
    }
    let mut changes = Vec::with_capacity(4 * blocks.len());
    let mut change = |at_ns: u64, busy: [i64; 2], waiting: [i64; 2]| {
        changes.push(Change { at_ns: at_ns.clamp(start_ns, end_ns), busy, waiting });
    };
    for block in blocks {
        let mut one = [0; 2];
        one[chip.kind_of(block.core) as usize] = 1;
        change(block.start_ns, one, [0; 2]);
        change(block.end_ns, one.map(|count: i64| -count), [0; 2]);
        let ready_ns = tasks.ready_ns(block.task).unwrap_or(block.dispatch_ns);
        if ready_ns < block.dispatch_ns {
            let needs = kinds[&block.task];
            change(ready_ns, [0; 2], needs);
            change(block.dispatch_ns, [0; 2], needs.map(|count| -count));
        }
    }
    changes.sort_unstable_by_key(|change| change.at_ns);
    let cores = [chip.cube_cores(), chip.vector_cores()].map(i64::from);
    let (mut busy, mut waiting, mut since_ns) = ([0; 2], [0; 2], start_ns);
    let mut lost = [0u64; 4];
    for change in changes {
        let has = |kind: CoreKind| busy[kind as usize] < cores[kind as usize] && waiting[kind as usize] > 0;
        let (cube, vector) = (has(CoreKind::Cube), has(CoreKind::Vector));
        for (lost, has) in lost.iter_mut().zip([cube, vector, cube && vector, cube || vector]) {
            *lost += if has { change.at_ns - since_ns } else { 0 };
        }
        since_ns = change.at_ns;
        for kind in 0..2 {
            busy[kind] += change.busy[kind];
            waiting[kind] += change.waiting[kind];
        }
    }
    let [cube, vector, both, either] = lost.map(|ns| ns as f64 / (end_ns - start_ns).max(1) as f64);
    Overhead { cube, vector, both, either }
}
