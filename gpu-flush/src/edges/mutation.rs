//! Named weakenings of the schedule, each of which a check must catch.
//!
//! A normal build contains none of them: outside tests [`Mutations::has`] is a constant. `cargo xtask mutations` builds the
//! two that race on memory with `--cfg prewire_mutation="…"`; the crate's own tests switch all of them in one build, on the
//! device that moves no bytes or on the one that steps, never on threads.

use super::Edge;

/// A weakening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// The waits for an edge are not queued.
    DropWait(Edge),
    /// The records of an edge are not queued.
    DropRecord(Edge),
    /// The copy back waits for the other slot's aggregation.
    WrongAggregateSlot,
    /// Exact-size payload copies go to the stream of index copies.
    PayloadOnDeviceToHost,
    /// The gate is not armed although the schedule counts on it.
    GateNotArmed,
    /// A kick's generation is published twice.
    PublishTwice,
    /// A kick's generation is never published.
    PublishNever,
    /// A kick's generation is published before its tails are uploaded.
    PublishBeforeUpload,
    /// The newest kicked batch is drained first.
    DrainNewestFirst,
    /// A slot is kicked although it was not drained.
    RekickUndrained,
    /// A hand-over to the sink is left out of the record.
    HideHandOver,
    /// The sizes the host read are spoilt before they are used.
    SpoilSizes,
}

/// Which weakenings are on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mutations {
    #[cfg(test)]
    pub(crate) active: Vec<Mutation>,
}

impl Mutations {
    /// Whether any is on, by a test.
    pub(crate) fn any(&self) -> bool {
        #[cfg(test)]
        return !self.active.is_empty();
        #[cfg(not(test))]
        false
    }

    pub(crate) fn has(&self, mutation: Mutation) -> bool {
        let built_in = match mutation {
            Mutation::DropWait(Edge::PoolConsumed) => cfg!(prewire_mutation = "flush_pool_consumed_not_waited"),
            Mutation::GateNotArmed => cfg!(prewire_mutation = "flush_tail_gate_not_armed"),
            _ => false,
        };
        #[cfg(test)]
        if self.active.contains(&mutation) {
            return true;
        }
        built_in
    }
}
