//! What the scheduler instances of a runtime share.

use crate::deferred::Wait;
use crate::gang::{Gangs, KeptIdle};
use crate::watchdog::{Sampler, WatchedCore};
use crate::{POISON, Scheduler, SchedulerConfig};
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::error::Fatal;
use prewire_runtime_core::graph::{Graph, Queue};
use prewire_runtime_core::id::{CoreId, KernelId, TaskId};
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::sync::{AtomicU64, CachePadded, Mutex, Ordering};
// Not the modelled type: reference counts are no part of any model, and a method cannot take that one as `self`.
use std::sync::Arc;

/// What one instance tells the others, besides its [`prewire_runtime_core::graph::Progress`].
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Its free cores, as [`crate::tracker::Tracker::summary`] counts them.
    pub(crate) free: AtomicU64,
    /// Tasks it has taken from a queue and not yet given to a core.
    pub(crate) in_hand: AtomicU64,
    /// Dispatches on its cores that it has not seen to end.
    pub(crate) dispatches: AtomicU64,
    /// The part of its busy count that waits for cores: dispatches, directed tasks, offers to gangs.
    pub(crate) on_cores: AtomicU64,
    /// Whether it holds a MIX task that waits for a cluster: 0 or 1.
    pub(crate) holds_cluster_task: AtomicU64,
    /// Whether it keeps a cluster free for a MIX task, its own or another's: 0 or 1.
    pub(crate) keeps_cluster: AtomicU64,
    /// What it keeps idle for a gang.
    pub(crate) kept: KeptIdle,
    /// Its steps so far: if it has made two since some moment, it has looked at all its cores since.
    pub(crate) steps: AtomicU64,
}

/// What the scheduler instances of a runtime share.
pub struct SchedulerGroup<P: Platform> {
    pub(crate) config: SchedulerConfig,
    pub(crate) graph: Arc<Graph>,
    pub(crate) platform: Arc<P>,
    pub(crate) kernels: Mutex<Arc<KernelSet>>,
    pub(crate) told: Box<[CachePadded<Told>]>,
    pub(crate) gangs: Gangs,
    pub(crate) deferred: Box<[Mutex<Vec<Wait>>]>,
    pub(crate) watched: Box<[CachePadded<WatchedCore>]>,
    pub(crate) sampler: Mutex<Sampler>,
}

impl<P: Platform> std::fmt::Debug for SchedulerGroup<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SchedulerGroup").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<P: Platform> SchedulerGroup<P> {
    /// A group over `graph`, in which the owner of a core must be the instance that [`SchedulerConfig::owner_of`] names.
    ///
    /// # Panics
    /// If the graph was built for another number of instances, other cores or other owners, or if an instance would own more than 64 clusters.
    pub fn new(config: SchedulerConfig, graph: Arc<Graph>, platform: Arc<P>) -> Arc<Self> {
        let chip = platform.chip();
        assert_eq!(
            graph.progress.len(),
            config.instances,
            "the graph was built for another number of scheduler instances"
        );
        for core in (0..chip.cores()).map(CoreId) {
            assert_eq!(
                graph.owner_of(core),
                config.owner_of(chip, core),
                "core {} of the graph is owned by another instance",
                core.0
            );
        }
        let cores = chip.cores() as usize;
        Arc::new(SchedulerGroup {
            told: (0..config.instances).map(|_| CachePadded::new(Told::default())).collect(),
            gangs: Gangs::new(config.instances, chip),
            deferred: (0..config.instances).map(|_| Mutex::new(Vec::new())).collect(),
            watched: (0..cores).map(|_| CachePadded::new(WatchedCore::default())).collect(),
            sampler: Mutex::new(Sampler::new(cores, config.instances)),
            kernels: Mutex::new(Arc::default()),
            config,
            graph,
            platform,
        })
    }

    /// The instances, in order. To be called once: an instance's cores are its own.
    pub fn instances(self: &Arc<Self>) -> Vec<Scheduler<P>> {
        (0..self.config.instances).map(|index| Scheduler::new(self.clone(), index)).collect()
    }

    /// Begins a run: nothing is left of an earlier one. Behind [`prewire_runtime_core::run::RunState::begin`],
    /// [`Graph::clear_queues`] and [`Platform::begin_run`], before [`Scheduler::begin_run`] of each instance; only while no instance steps.
    pub fn begin_run(&self, kernels: &Arc<KernelSet>) {
        *self.kernels.lock().expect(POISON) = kernels.clone();
        self.gangs.reset();
        for waits in &self.deferred {
            waits.lock().expect(POISON).clear();
        }
        for told in &self.told {
            told.holds_cluster_task.store(0, Ordering::Relaxed);
            told.keeps_cluster.store(0, Ordering::Relaxed);
            told.in_hand.store(0, Ordering::Relaxed);
            told.kept.reset();
        }
        for progress in &self.graph.progress {
            progress.completed.store(0, Ordering::Relaxed);
            progress.unrun.store(0, Ordering::Relaxed);
            progress.busy.store(0, Ordering::Relaxed);
        }
        self.sampler.lock().expect(POISON).begin_run();
    }

    /// Ends a run, once no instance steps any more and before the orchestrator reclaims its tasks: completes the report of a stall with the tasks
    /// that were ready or waiting, which can be looked at without a race only now, and only while no later run is being built. `is_of_run` tells the tasks of
    /// this run from those of later ones.
    pub fn end_run(&self, is_of_run: &dyn Fn(TaskId) -> bool) {
        self.graph.run.amend_fatal(|fatal| {
            if let Fatal::Stalled(report) = fatal {
                self.complete_report(report, is_of_run);
            }
        });
    }

    /// Ends run `run` in its place for a reason: the first one counts. Kernels are told to return and everybody is woken.
    pub(crate) fn end_for(&self, place: usize, run: u32, fatal: Fatal) -> bool {
        let first = self.graph.run.at(place).latch_of(run, fatal);
        self.platform.cancel(run);
        self.graph.bells.ring_all();
        first
    }

    /// Whether an instance other than `but` has a free core of the kind.
    #[inline]
    pub(crate) fn has_free_core(&self, kind: CoreKind, but: usize) -> bool {
        let mut others = self.told.iter().enumerate().filter(|&(instance, _)| instance != but);
        others.any(|(_, told)| free_of(told.free.load(Ordering::Relaxed), kind) != 0)
    }

    /// Whether an instance other than `but` has a whole free cluster.
    pub(crate) fn has_whole_cluster(&self, but: usize) -> bool {
        let mut others = self.told.iter().enumerate().filter(|&(instance, _)| instance != but);
        others.any(|(_, told)| told.free.load(Ordering::Relaxed) >> 32 != 0)
    }

    /// The instances that say yes to a question of 0 or 1, a bit each.
    fn instances_that(&self, say: impl Fn(&Told) -> &AtomicU64) -> u64 {
        let told = self.told.iter().enumerate();
        told.fold(0, |all, (instance, told)| all | say(told).load(Ordering::Relaxed) << instance)
    }

    /// The instances other than `but` that hold a MIX task which waits for a cluster, a bit each.
    pub(crate) fn cluster_task_holders(&self, but: usize) -> u64 {
        self.instances_that(|told| &told.holds_cluster_task) & !(1 << but)
    }

    /// The instances that keep a cluster free for a MIX task, a bit each.
    pub(crate) fn cluster_keepers(&self) -> u64 {
        self.instances_that(|told| &told.keeps_cluster)
    }

    /// Wakes those of `instances` that sleep. To be called behind a full fence.
    pub(crate) fn wake(&self, instances: u64) {
        let mut sleeping = instances & self.graph.bells.idle() & !(1 << self.graph.orchestrator_bell());
        while sleeping != 0 {
            self.graph.bells.ring(sleeping.trailing_zeros() as usize);
            sleeping &= sleeping - 1;
        }
    }

    /// Wakes a sleeping instance that has free cores for tasks of this queue. To be called behind a full fence.
    pub(crate) fn pass_wake_on(&self, queue: Queue) {
        let mut sleeping = self.graph.bells.idle() & !(1 << self.graph.orchestrator_bell());
        while sleeping != 0 {
            let instance = sleeping.trailing_zeros() as usize;
            sleeping &= sleeping - 1;
            let free = self.told[instance].free.load(Ordering::Relaxed);
            let fits = match queue {
                Queue::Cube => free_of(free, CoreKind::Cube) != 0,
                Queue::Vector => free_of(free, CoreKind::Vector) != 0,
                Queue::Cluster | Queue::Gang => free != 0,
                Queue::Retire => true,
            };
            if fits {
                self.graph.bells.ring(instance);
                return;
            }
        }
    }

    /// What reports call a kernel.
    pub(crate) fn kernel_name(&self, kernel: KernelId) -> String {
        let kernels = self.kernels.lock().expect(POISON);
        kernels.get(kernel).map_or_else(|| format!("kernel {}", kernel.0), |kernel| kernel.name.clone())
    }
}

#[inline]
fn free_of(summary: u64, kind: CoreKind) -> u64 {
    match kind {
        CoreKind::Cube => summary & 0xFFFF,
        CoreKind::Vector => summary >> 16 & 0xFFFF,
    }
}
