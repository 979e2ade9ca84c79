//! The table of edges: who must wait for whom, by name.

use std::fmt;

/// Where work happens: a stream, the host thread, or the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The stream of staging copies.
    HostToDevice,
    /// The stream that scatters, reduces and zeroes.
    Compute,
    /// The stream that compresses and aggregates.
    Compress,
    /// The stream that copies the chunk index back, and the payload where it needs no sizes first.
    DeviceToHost,
    /// The stream of exact-size payload copies. Apart from `DeviceToHost`, because a later batch's wait may already be queued
    /// there, and that wait may depend on the drain that issues these copies.
    Drain,
    /// The thread that calls the writer.
    Host,
    /// The sink's threads.
    Sink,
}

impl Place {
    /// The streams, in the order of their creation.
    pub const STREAMS: [Place; 5] =
        [Place::HostToDevice, Place::Compute, Place::Compress, Place::DeviceToHost, Place::Drain];

    /// Its short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Place::HostToDevice => "h2d",
            Place::Compute => "compute",
            Place::Compress => "compress",
            Place::DeviceToHost => "d2h",
            Place::Drain => "drain",
            Place::Host => "host",
            Place::Sink => "sink",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A named ordering rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Edge {
    /// The scatter has read a device staging slot.
    StagingScatterDone,
    /// A device staging slot holds its bytes.
    StagingH2dDone,
    /// A host staging slot may be filled again.
    StagingFree,
    /// A batch in the chunk pool is complete.
    PoolFilled,
    /// The pyramid levels of a batch are in the chunk pool.
    LodDone,
    /// A batch is packed in its aggregate slot.
    AggDone,
    /// A batch in the chunk pool has been read.
    PoolConsumed,
    /// An aggregate slot has been copied out.
    SlotDrained,
    /// A host payload holds its bytes.
    D2hDone,
    /// A host chunk index holds its offsets and sizes.
    ChunkIndexReady,
    /// The carried tail of the batch before is on the device.
    TailPublished,
    /// The sink has read a host payload.
    IoFence,
    /// A slot is drained before it is kicked again.
    DrainBeforeRekick,
    /// Batches are delivered in the order of their kicks.
    DeliverOldestFirst,
}

/// How an edge is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeKind {
    /// An event: recorded by the producer, waited for by the consumer.
    Event,
    /// A counter in mapped memory: set by the host, waited for by a stream.
    Counter,
    /// A fence of the sink, waited for by the host.
    Fence,
    /// A rule about the order of host calls, checked at every call.
    HostRule,
}

/// What is known of an edge without running anything.
#[derive(Debug, Clone, Copy)]
pub struct EdgeDescriptor {
    /// The edge.
    pub edge: Edge,
    /// Its name in reports.
    pub name: &'static str,
    /// Who produces it: one place, or one of two.
    pub producers: &'static [Place],
    /// Who waits for it.
    pub consumer: Place,
    /// What it protects.
    pub guards: &'static str,
    /// How it is kept.
    pub kind: EdgeKind,
    /// How many instances there are; with one, every slot uses it.
    pub instances: u32,
    /// Recorded once at the start, so that the first wait passes.
    pub seeded: bool,
    /// The edge whose event this one shares. An alias is waited for under its own name and never recorded.
    pub alias_of: Option<Edge>,
}

const fn event(
    edge: Edge,
    name: &'static str,
    producers: &'static [Place],
    consumer: Place,
    guards: &'static str,
) -> EdgeDescriptor {
    EdgeDescriptor {
        edge,
        name,
        producers,
        consumer,
        guards,
        kind: EdgeKind::Event,
        instances: 2,
        seeded: true,
        alias_of: None,
    }
}

const fn alias(descriptor: EdgeDescriptor, owner: Edge) -> EdgeDescriptor {
    EdgeDescriptor { alias_of: Some(owner), seeded: false, ..descriptor }
}

const fn of_kind(descriptor: EdgeDescriptor, kind: EdgeKind, instances: u32) -> EdgeDescriptor {
    EdgeDescriptor { kind, instances, seeded: false, ..descriptor }
}

const TABLE: [EdgeDescriptor; 14] = {
    use Edge::*;
    use Place::*;
    [
        event(
            StagingScatterDone,
            "STAGING_SCATTER_DONE",
            &[Compute],
            HostToDevice,
            "device staging is read before it is overwritten",
        ),
        event(StagingH2dDone, "STAGING_H2D_DONE", &[HostToDevice], Compute, "the contents of device staging"),
        alias(
            event(StagingFree, "STAGING_FREE", &[HostToDevice], Host, "host staging is copied before it is refilled"),
            StagingH2dDone,
        ),
        EdgeDescriptor {
            instances: 1,
            ..event(PoolFilled, "POOL_FILLED", &[Compute], Compress, "the batch in the chunk pool")
        },
        event(LodDone, "LOD_DONE", &[Compute], Compress, "the pyramid levels in the chunk pool"),
        event(AggDone, "AGG_DONE", &[Compress], DeviceToHost, "the packed batch and its index"),
        alias(
            event(PoolConsumed, "POOL_CONSUMED", &[Compress], Compute, "the chunk pool is read before it is zeroed"),
            AggDone,
        ),
        event(
            SlotDrained,
            "SLOT_DRAINED",
            &[DeviceToHost, Drain],
            Compress,
            "the aggregate slot is copied before it is overwritten",
        ),
        alias(
            event(D2hDone, "D2H_DONE", &[DeviceToHost, Drain], Host, "the host payload is complete before it is read"),
            SlotDrained,
        ),
        event(
            ChunkIndexReady,
            "CHUNK_INDEX_READY",
            &[DeviceToHost],
            Host,
            "the host chunk index, and with it the exact sizes",
        ),
        of_kind(
            event(TailPublished, "TAIL_PUBLISHED", &[Host], Compress, "the carried tails on the device"),
            EdgeKind::Counter,
            1,
        ),
        of_kind(
            event(IoFence, "IO_FENCE", &[Sink], Host, "the host payload is written out before it is overwritten"),
            EdgeKind::Fence,
            2,
        ),
        of_kind(
            event(
                DrainBeforeRekick,
                "DRAIN_BEFORE_REKICK",
                &[Host],
                Host,
                "the hand-off and the host buffers of a slot are used by one batch",
            ),
            EdgeKind::HostRule,
            2,
        ),
        of_kind(
            event(
                DeliverOldestFirst,
                "DELIVER_OLDEST_FIRST",
                &[Host],
                Host,
                "the counter only grows and a shard's writes come in order",
            ),
            EdgeKind::HostRule,
            2,
        ),
    ]
};

impl Edge {
    /// The whole table.
    #[must_use]
    pub fn table() -> &'static [EdgeDescriptor] {
        &TABLE
    }

    /// This edge's line of the table.
    #[must_use]
    pub fn descriptor(self) -> &'static EdgeDescriptor {
        &TABLE[self as usize]
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.descriptor().name
    }

    /// The edge of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|descriptor| descriptor.name == name).map(|descriptor| descriptor.edge)
    }

    /// The edge whose event this one uses: itself unless it is an alias.
    #[must_use]
    pub fn owner(self) -> Self {
        self.descriptor().alias_of.unwrap_or(self)
    }
}
