//! How well a run used its chip: the makespan against the least that any schedule could take, the use of the cores, and the time lost to scheduling.
//!
//! At an instant a kind of core has overhead if one of its cores is idle while a block that needs the kind is ready and has not been dispatched. A task is
//! ready when the last of its producers has ended; one without producers when it was dispatched itself. A task of both kinds counts for both.

mod graph;
mod sweep;

#[cfg(test)]
mod tests;

use crate::{BlockRecord, ChipSpec, CoreKind, Report, TaskId};
use graph::Tasks;

/// Shares of the makespan, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Overhead {
    /// Cube cores had overhead.
    pub cube: f64,
    /// Vector cores had.
    pub vector: f64,
    /// Both had at once.
    pub both: f64,
    /// Either had.
    pub either: f64,
}

/// What became of a run's time, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// From the first block's start to the last one's end.
    pub makespan_ns: u64,
    /// The longest chain of dependent tasks, each as long as its longest block was.
    pub critical_path_ns: u64,
    /// The work of each kind of core (cube, vector), spread evenly over its cores.
    pub work_ns: [u64; 2],
    /// The share of the makespan in which cores of each kind were busy.
    pub busy: [f64; 2],
    /// The time lost to scheduling.
    pub overhead: Overhead,
}

impl Quality {
    /// The quality of a run whose blocks and graph were recorded; none if they were not, or nothing ran.
    pub fn of(report: &Report) -> Option<Quality> {
        Quality::of_blocks(&report.chip, report.blocks.as_deref()?, &report.graph.as_ref()?.pairs())
    }

    /// The quality of these blocks with these pairs of producer and consumer; none without blocks.
    pub fn of_blocks(chip: &ChipSpec, blocks: &[BlockRecord], edges: &[(TaskId, TaskId)]) -> Option<Quality> {
        let start_ns = blocks.iter().map(|block| block.start_ns).min()?;
        let end_ns = blocks.iter().map(|block| block.end_ns).max()?;
        let makespan_ns = end_ns - start_ns;
        let tasks = Tasks::of(blocks, edges);
        let cores = [chip.cube_cores(), chip.vector_cores()].map(u64::from);
        let mut work = [0; 2];
        for block in blocks {
            work[chip.kind_of(block.core) as usize] += block.end_ns - block.start_ns;
        }
        let busy = |kind: CoreKind| work[kind as usize] as f64 / (makespan_ns.max(1) * cores[kind as usize]) as f64;
        Some(Quality {
            makespan_ns,
            critical_path_ns: tasks.critical_path_ns(),
            work_ns: [work[0].div_ceil(cores[0]), work[1].div_ceil(cores[1])],
            busy: [busy(CoreKind::Cube), busy(CoreKind::Vector)],
            overhead: sweep::overhead(chip, blocks, &tasks, start_ns, end_ns),
        })
    }

    /// No schedule takes less: the longest chain, or the work of a kind over its cores.
    pub fn bound_ns(&self) -> u64 {
        self.critical_path_ns.max(self.work_ns[0]).max(self.work_ns[1])
    }
}
