//! One scheduler instance: the clusters it owns and the step that drives them.

use crate::SchedulerGroup;
use crate::instance::{Instance, Round};
use prewire_runtime_core::graph::Queue;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::port::{Condition, Transition};
use std::sync::Arc;

/// What a step achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Something was achieved; step again.
    Worked,
    /// There was nothing to do.
    Idle {
        /// A core of this instance runs something. When it ends, the platform rings the instance's bell.
        cores_busy: bool,
        /// Tasks wait for counters that nobody rings a bell for: a sleep must be short (a millisecond or less).
        must_poll: bool,
    },
}

/// A scheduler instance. One thread at a time drives it.
pub struct Scheduler<P: Platform> {
    group: Arc<SchedulerGroup<P>>,
    own: Instance,
}

impl<P: Platform> std::fmt::Debug for Scheduler<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").field("index", &self.own.index).finish_non_exhaustive()
    }
}

impl<P: Platform> Scheduler<P> {
    pub(crate) fn new(group: Arc<SchedulerGroup<P>>, index: usize) -> Self {
        let config = &group.config;
        let own = Instance::new(index, config.instances, group.platform.chip(), config.first_token);
        Scheduler { group, own }
    }

    /// Which instance this is; also its bell in [`prewire_runtime_core::graph::Graph::bells`].
    pub fn index(&self) -> usize {
        self.own.index
    }

    /// Begins a run: cores idle, nothing in hand, counters at zero. Behind [`SchedulerGroup::begin_run`].
    pub fn begin_run(&mut self) {
        self.own.begin_run(self.group.graph.run.run());
        Round::new(&self.group, &mut self.own).publish(false);
    }

    /// A bounded piece of work: ended blocks, completions, retirements, dispatches. After a fatal only ended blocks are taken in; the run is quiet once
    /// no instance has a busy core.
    #[inline]
    pub fn step(&mut self) -> Step {
        let mut round = Round::new(&self.group, &mut self.own);
        let worked = if round.state.is_cancelled() { round.wind_down() } else { round.work() };
        round.publish(worked);
        if worked {
            Step::Worked
        } else {
            Step::Idle { cores_busy: self.own.dispatches > 0, must_poll: self.own.deferred > 0 }
        }
    }

    /// Tasks that this instance has completed or retired in this run.
    pub fn completed(&self) -> u64 {
        self.own.completed
    }

    /// Whether none of its cores runs anything.
    pub fn is_quiet(&self) -> bool {
        self.own.dispatches == 0
    }

    /// Whether a step would find something to do; a look before a sleep.
    pub fn has_work(&mut self) -> bool {
        Round::new(&self.group, &mut self.own).would_work()
    }

    /// The cores of this instance on which something runs.
    pub fn busy_cores(&self) -> Vec<CoreId> {
        self.own.tracker.busy().map(|place| self.own.ports[place.index()].core).collect()
    }
}

impl<P: Platform> Round<'_, P> {
    #[inline]
    fn work(&mut self) -> bool {
        let mut worked = self.learn_availability();
        if self.own.dispatches > 0 {
            worked |= self.collect();
        }
        worked |= self.walk_on();
        worked |= self.poll_deferred();
        worked |= self.join_gangs();
        worked |= self.retire();
        worked | self.dispatch()
    }

    /// After a fatal: nothing is started, what runs is waited for.
    #[cold]
    fn wind_down(&mut self) -> bool {
        if self.own.offers > 0 || self.group.gangs.waiting() > 0 {
            self.abandon_gangs();
        }
        self.own.forget_tasks();
        let mut worked = self.platform.can_revoke() && self.revoke_all();
        worked |= self.own.dispatches > 0 && self.collect();
        self.own.returned.clear();
        worked
    }

    fn would_work(&self) -> bool {
        if self.core_has_news() {
            return true;
        }
        if self.graph.run.is_cancelled() {
            return false;
        }
        !self.own.walks.is_empty()
            || self.platform.availability_epoch() != self.own.availability_epoch
            || !self.graph.queue(Queue::Retire).is_empty()
            || !self.graph.queue(Queue::Gang).is_empty()
            || self.gates_ask()
            || self.could_dispatch()
    }

    fn core_has_news(&self) -> bool {
        self.own.dispatches > 0
            && self.own.tracker.busy().any(|place| {
                let port = &self.own.ports[place.index()];
                let mut in_flight = port.in_flight;
                let condition = self.platform.poll(port.core);
                in_flight.observe(condition) != Transition::None
                    || self.platform.can_revoke() && condition == Condition::Exited
            })
    }
}
