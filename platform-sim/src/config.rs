//! What a simulated chip is made with.

use prewire_runtime_core::chip::ChipSpec;

/// How kernels come to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Engine {
    /// The dispatching thread runs the block of a single core itself. Blocks and parts that may wait for one another get threads of their own.
    #[default]
    Inline,
    /// The dispatching thread runs everything. Blocks that wait for one another cannot run.
    InlineOnly,
    /// Every core's kernels run on a pool of threads, asynchronously to the scheduler, as on a chip.
    Threads,
    /// Orchestrator, schedulers and cores advance by a clock of their own, in an order that the seed decides; [`crate::VirtualSim`] is that chip.
    Virtual {
        /// What every random choice follows from.
        seed: u64,
    },
}

/// What a simulated chip is made with.
#[derive(Clone, Debug, PartialEq)]
pub struct SimConfig {
    /// The chip.
    pub chip: ChipSpec,
    /// How kernels come to run.
    pub engine: Engine,
    /// Threads that run kernels at once as long as these compute; 0 is one per processor. Kernels that sleep or wait for one another get more.
    pub worker_threads: usize,
}

impl SimConfig {
    /// The chip with one worker thread per processor.
    pub fn new(chip: ChipSpec, engine: Engine) -> Self {
        SimConfig { chip, engine, worker_threads: 0 }
    }

    pub(crate) fn workers(&self) -> usize {
        let wanted = match self.worker_threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            wanted => wanted,
        };
        wanted.min(usize::from(self.chip.cores()))
    }
}
