//! What a seed stands for: a program, a chip, rings, and what goes wrong.

use super::generator::{Limits, generate};
use super::program::Program;
use prewire::{Chip, CoreId, Engine, Fault, Injection, Runtime};
use prewire_platform_sim::Random;
use std::time::Duration;

/// The code of kernels that are made to fail.
pub(crate) const FAILURE: i32 = 77;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trouble {
    Nothing,
    /// The result comes later, and is right.
    Late(CoreId, Fault),
    Hangs(CoreId),
    Fails(CoreId),
    Starves(Injection),
    LosesTask(Injection),
    /// The rings are smaller than the program was made for.
    SmallRings,
}

/// One simulated run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) chip: Chip,
    pub(crate) clusters: u16,
    pub(crate) schedulers: i64,
    pub(crate) window: usize,
    pub(crate) heap: u64,
    pub(crate) edges: u64,
    pub(crate) tasks: usize,
    /// How long every kernel takes; with none, what its arguments make likely.
    pub(crate) lasting: Option<Duration>,
    /// Whether idle schedulers sleep until a bell rings.
    pub(crate) sleeping: bool,
    /// Whether the kernels of gangs and clusters wait for one another, so that they get threads.
    pub(crate) may_wait: bool,
    /// Whether the graph is recorded, which keeps finished tasks as long as there is room.
    pub(crate) recorded: bool,
    pub(crate) trouble: Trouble,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Plan {
        let mut random = Random::new(seed ^ 0x005e_ed0f_51a7_e000);
        let chip = Chip::ALL[random.below(2)];
        // Gangs of programs have up to three blocks.
        let clusters = random.between(3, 8) as u16;
        let window = [4, 4, 8, 16, 64][random.below(5)];
        let tasks = random.between(5, 120);
        let limits = Limits { tasks, window, failing: true };
        let core = CoreId(random.below(3 * usize::from(clusters)) as u16);
        let moment = |random: &mut Random| random.below(60_000) as u64;
        let trouble = match random.below(16) {
            0 => Trouble::Late(core, Fault::SlowBy(random.between(2, 200) as u32)),
            1 => Trouble::Late(core, Fault::CompletesLate(Duration::from_nanos(random.below(200_000) as u64))),
            2 => Trouble::Late(core, Fault::RepeatsFin),
            3 | 4 => Trouble::Hangs(core),
            5 | 6 => Trouble::Fails(core),
            7 | 8 => Trouble::Starves(Injection::StarvesScheduler {
                instance: random.below(3),
                after_ns: moment(&mut random),
                for_ns: random.below(3_000_000) as u64,
            }),
            9 => Trouble::LosesTask(Injection::LosesReadyTask { after_ns: moment(&mut random) }),
            10 | 11 => Trouble::SmallRings,
            _ => Trouble::Nothing,
        };
        let small = trouble == Trouble::SmallRings;
        let lasting = match random.below(4) {
            0 => None,
            1 => Some(Duration::from_nanos(random.below(1000) as u64)),
            2 => Some(Duration::from_nanos(random.below(30_000) as u64)),
            _ => Some(Duration::from_nanos(random.below(500_000) as u64)),
        };
        Plan {
            seed,
            chip,
            clusters,
            schedulers: random.between(1, 3) as i64,
            window: if small { 4 } else { window },
            heap: if small { 1024 << random.below(4) } else { limits.heap_bytes() },
            edges: if small { 4 << random.below(4) } else { 32 * window as u64 },
            tasks,
            lasting,
            sleeping: random.percent(50),
            recorded: random.percent(50),
            may_wait: random.percent(20),
            trouble,
        }
    }

    /// Whether kernels fail by themselves: not beside a core of which every one does, as it is open then which is the first.
    fn failing(&self) -> bool {
        !matches!(self.trouble, Trouble::Fails(_))
    }

    /// The program. Programs for small rings are made for rings that are large enough.
    pub(crate) fn program(&self) -> Program {
        let window = if self.trouble == Trouble::SmallRings { 32 } else { self.window };
        generate(self.seed, Limits { tasks: self.tasks, window, failing: self.failing() })
    }

    pub(crate) fn runtime(&self, window: u64, heap: u64, edges: u64) -> Runtime {
        let builder = Runtime::builder().platform(self.chip).engine(Engine::Virtual { seed: self.seed });
        let builder = builder.clusters(self.clusters).threads(self.schedulers + 1);
        let builder = builder.ring_task_window(window).ring_heap(heap).ring_dep_pool(edges).index_entries(1 << 14);
        let mut runtime =
            builder.record_trace(true).record_graph(self.recorded).build().expect("every plan can be built");
        if self.sleeping {
            runtime.inject(Injection::SchedulersSleep);
        }
        match self.trouble {
            Trouble::Nothing | Trouble::SmallRings => {}
            Trouble::Late(core, fault) => runtime.set_fault(core, Some(fault)),
            Trouble::Hangs(core) => runtime.set_fault(core, Some(Fault::Hangs)),
            Trouble::Fails(core) => runtime.set_fault(core, Some(Fault::Fails(FAILURE))),
            Trouble::Starves(injection) | Trouble::LosesTask(injection) => {
                runtime.inject(injection);
            }
        }
        runtime
    }

    /// Takes away what goes wrong.
    pub(crate) fn repair(&self, runtime: &mut Runtime) {
        runtime.forget_injections();
        if let Trouble::Late(core, _) | Trouble::Hangs(core) | Trouble::Fails(core) = self.trouble {
            runtime.set_fault(core, None);
        }
    }
}
