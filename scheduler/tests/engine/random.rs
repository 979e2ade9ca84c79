//! Random graphs of every kind of task, driven by threads that sleep until they are rung: nothing is lost, repeated, early or left behind.

use crate::chip::{Ended, Engine, TestChip};
use crate::world::{CUBE, MIX, New, VECTOR, World, data, order};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::consumers::Ending;
use prewire_runtime_core::id::{CoreId, SlotIndex};
use prewire_runtime_core::kernel::Condition;
use prewire_runtime_core::platform::DispatchPayload;
use prewire_runtime_core::slot::{Parts, TaskFlags};
use prewire_scheduler::SchedulerConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const CLUSTERS: u16 = 4;
const TASKS: usize = 300;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as u32) % bound
    }
}

/// What each task is and on whom it depends, with `true` for an edge that carries failure.
struct Plan {
    tasks: Vec<(New, Vec<(usize, bool)>)>,
    fails: Vec<bool>,
}

impl Plan {
    fn new(random: &mut Random) -> Plan {
        let mut plan = Plan { tasks: Vec::new(), fails: Vec::new() };
        for at in 0..TASKS {
            let new = match random.below(14) {
                0 => New::of(Parts(0)),
                1 => New::of(MIX).blocks(1 + random.below(4)).gang(),
                2 => New::of(VECTOR).blocks(1 + random.below(8)).gang(),
                3 => New::of(CUBE).blocks(1 + random.below(4)).gang(),
                4 | 5 => {
                    New::of([Parts(3), Parts(5), Parts(6), MIX][random.below(4) as usize]).blocks(1 + random.below(6))
                }
                6 => New::of(VECTOR).on(CoreId(CLUSTERS + random.below(2 * CLUSTERS as u32) as u16)),
                7 => New::of(CUBE).blocks(1 + random.below(9)).on(CoreId(random.below(CLUSTERS as u32) as u16)),
                8 => New::of(VECTOR).blocks(1 + random.below(40)),
                9 => New::of(CUBE).kernel(3),
                10 | 11 => New::of(CUBE),
                _ => New::of(VECTOR),
            };
            let producers = (0..random.below(4).min(at as u32))
                .map(|_| (at - 1 - random.below((at as u32).min(40)) as usize, random.below(2) == 0))
                .collect();
            plan.fails.push(new.parts != Parts(0) && random.below(40) == 0);
            plan.tasks.push((new, producers));
        }
        plan
    }

    /// Which tasks do not run, because of a failed one they depend on by data.
    fn unrun(&self) -> Vec<bool> {
        let mut unrun = vec![false; TASKS];
        for (at, (_, producers)) in self.tasks.iter().enumerate() {
            unrun[at] = producers.iter().any(|&(from, carries)| carries && (unrun[from] || self.fails[from]));
        }
        unrun
    }
}

fn run(seed: u64, instances: usize, engine: Engine) {
    let plan = Arc::new(Plan::new(&mut Random(seed)));
    let ended: Arc<Vec<AtomicU32>> = Arc::new((0..TASKS).map(|_| AtomicU32::new(0)).collect());
    let kernel = {
        let (plan, ended) = (plan.clone(), ended.clone());
        move |payload: &DispatchPayload| {
            let at = payload.task.sequence() as usize;
            let (new, producers) = &plan.tasks[at];
            for &(from, _) in producers {
                let (before, _) = &plan.tasks[from];
                let all = before.blocks * before.parts.count();
                assert!(
                    plan.fails[from] || plan.unrun()[from] || ended[from].load(Ordering::Acquire) == all,
                    "seed {seed}: task {at} started before {from} ended"
                );
            }
            if payload.block.is_multiple_of(3) {
                std::thread::yield_now();
            }
            ended[at].fetch_add(1, Ordering::Release);
            if plan.fails[at] && payload.block == 0 {
                Ended::Failed(1, "planned")
            } else if new.kernel == 3 {
                Ended::Deferred(vec![Condition { counter: 8 * at as u64 + 8, expected: 1 }])
            } else {
                Ended::Ok
            }
        }
    };
    let mut chip = TestChip::new(ChipSpec::unit(CLUSTERS), engine, kernel);
    chip.preload = engine == Engine::Threads && seed.is_multiple_of(2);
    let mut world = World::with(chip, SchedulerConfig::new(instances));
    let mut slots: Vec<SlotIndex> = Vec::new();
    for (new, producers) in &plan.tasks {
        let mut edges: Vec<_> = Vec::new();
        for &(from, carries) in producers {
            edges.push(if carries { data(slots[from]) } else { order(slots[from]) });
        }
        let mut new = new.clone();
        if new.parts.count() > 1 {
            new.flags = new.flags.with(TaskFlags::CONCURRENT);
        }
        slots.push(world.submit(new, &edges));
    }
    let chip = world.chip.clone();
    world.drive(|driven| {
        for at in 0..TASKS as u64 {
            chip.counters.lock().unwrap().insert(8 * at + 8, 1);
            std::thread::yield_now();
        }
        driven.wait_for(TASKS as u64);
    });
    world.assert_quiet();
    let unrun = plan.unrun();
    assert_eq!(world.unrun(), unrun.iter().filter(|&&unrun| unrun).count() as u64, "seed {seed}");
    for (at, &slot) in slots.iter().enumerate() {
        let (new, _) = &plan.tasks[at];
        let count = ended[at].load(Ordering::Relaxed);
        let all = new.blocks * new.parts.count();
        let failed = plan.fails[at] || unrun[at];
        let expected = if unrun[at] {
            0..=0
        } else if plan.fails[at] {
            1..=all
        } else {
            all..=all
        };
        assert!(expected.contains(&count), "seed {seed}: task {at} ran {count} of {all} sub-tasks");
        assert_eq!(
            world.ending(slot),
            Some(if failed { Ending::Failed } else { Ending::Ok }),
            "seed {seed}: task {at}"
        );
        assert_eq!(world.failed(slot), failed);
        assert!(world.graph.slots.is_free(slot));
    }
}

#[test]
fn random_graphs_on_threads() {
    for seed in 0..40 {
        run(seed, 1 + seed as usize % 4, Engine::Threads);
    }
}

#[test]
fn random_graphs_inline() {
    for seed in 100..140 {
        run(seed, 1 + seed as usize % 4, Engine::Inline);
    }
}
