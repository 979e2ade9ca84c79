//! Named weakenings of the schedule, each of which a check must catch.
//!
//! A normal build contains none of them: outside tests [`Mutations::has`] is a constant. `cargo xtask mutations` builds with
//! `--cfg prewire_mutation="…"`; the crate's own tests switch several in one build, on the device that moves no bytes.

use super::Edge;

/// A weakening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "most weakenings are switched by the crate's tests only"))]
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
    pub(crate) fn has(&self, mutation: Mutation) -> bool {
        let built_in = match mutation {
            Mutation::DropWait(Edge::PoolConsumed) => cfg!(prewire_mutation = "flush_pool_consumed_not_waited"),
            Mutation::DropWait(Edge::StagingScatterDone) => cfg!(prewire_mutation = "flush_staging_scatter_not_waited"),
            Mutation::DropWait(Edge::StagingH2dDone) => cfg!(prewire_mutation = "flush_staging_h2d_not_waited"),
            Mutation::DropWait(Edge::StagingFree) => cfg!(prewire_mutation = "flush_staging_free_not_waited"),
            Mutation::DropWait(Edge::PoolFilled) => cfg!(prewire_mutation = "flush_pool_filled_not_waited"),
            Mutation::DropWait(Edge::AggDone) => cfg!(prewire_mutation = "flush_agg_done_not_waited"),
            Mutation::DropWait(Edge::SlotDrained) => cfg!(prewire_mutation = "flush_slot_drained_not_waited"),
            Mutation::DropWait(Edge::D2hDone) => cfg!(prewire_mutation = "flush_d2h_done_not_waited"),
            Mutation::DropWait(Edge::ChunkIndexReady) => cfg!(prewire_mutation = "flush_chunk_index_not_waited"),
            Mutation::DropWait(Edge::IoFence) => cfg!(prewire_mutation = "flush_io_fence_not_waited"),
            Mutation::GateNotArmed => cfg!(prewire_mutation = "flush_tail_gate_not_armed"),
            Mutation::PublishTwice => cfg!(prewire_mutation = "flush_tail_published_twice"),
            Mutation::PublishNever => cfg!(prewire_mutation = "flush_tail_never_published"),
            Mutation::PublishBeforeUpload => cfg!(prewire_mutation = "flush_tail_published_early"),
            Mutation::PayloadOnDeviceToHost => cfg!(prewire_mutation = "flush_payload_on_d2h"),
            _ => false,
        };
        #[cfg(test)]
        if self.active.contains(&mutation) {
            return true;
        }
        built_in
    }
}
