//! Bytes, calls and time of each stage of the pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A step of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The host's copy into staging.
    Memcpy,
    /// Staging to the device.
    HostToDevice,
    /// Input to chunks, or to the linear epoch where levels are computed.
    Scatter,
    /// Level 0 to chunks.
    LodGather,
    /// Level to level.
    LodReduce,
    /// Folding along the append dimension.
    LodFold,
    /// Levels to chunks.
    LodScatter,
    /// Compression.
    Compress,
    /// Packing by shard.
    Aggregate,
    /// Index and payload to the host.
    DeviceToHost,
    /// Delivery to the sink.
    Sink,
}

/// Who spends a stage's time. Times may be added up within one owner only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The thread that appends.
    Producer,
    /// A stream, by name.
    Stream(&'static str),
    /// The host during a drain.
    Drain,
}

impl Stage {
    /// Every stage, in the order of the data.
    pub const ALL: [Stage; 11] = [
        Stage::Memcpy,
        Stage::HostToDevice,
        Stage::Scatter,
        Stage::LodGather,
        Stage::LodReduce,
        Stage::LodFold,
        Stage::LodScatter,
        Stage::Compress,
        Stage::Aggregate,
        Stage::DeviceToHost,
        Stage::Sink,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Memcpy => "memcpy",
            Stage::HostToDevice => "h2d",
            Stage::Scatter => "scatter",
            Stage::LodGather => "lod gather",
            Stage::LodReduce => "lod reduce",
            Stage::LodFold => "lod fold",
            Stage::LodScatter => "lod scatter",
            Stage::Compress => "compress",
            Stage::Aggregate => "aggregate",
            Stage::DeviceToHost => "d2h",
            Stage::Sink => "sink",
        }
    }

    /// Who spends its time.
    #[must_use]
    pub const fn owner(self) -> Owner {
        match self {
            Stage::Memcpy => Owner::Producer,
            Stage::HostToDevice => Owner::Stream("h2d"),
            Stage::Scatter | Stage::LodGather | Stage::LodReduce | Stage::LodFold | Stage::LodScatter => {
                Owner::Stream("compute")
            }
            Stage::Compress | Stage::Aggregate => Owner::Stream("compress"),
            Stage::DeviceToHost => Owner::Stream("d2h"),
            Stage::Sink => Owner::Drain,
        }
    }
}

/// The sums of one stage. Lossless: every run of a timed operation is one sample.
#[derive(Debug, Default)]
pub struct StageTimer {
    count: AtomicU64,
    nanoseconds: AtomicU64,
    bytes: AtomicU64,
}

/// A shared timer, handed to the device with each operation of the stage.
pub type TimerHandle = Arc<StageTimer>;

/// What a stage did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageSnapshot {
    /// Runs.
    pub count: u64,
    /// Time, waits at edges and at the gate not included.
    pub time: Duration,
    /// Bytes that went in.
    pub bytes: u64,
}

impl StageTimer {
    /// Adds one run.
    pub fn add(&self, time: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Adds bytes that went in.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The sums.
    #[must_use]
    pub fn snapshot(&self) -> StageSnapshot {
        StageSnapshot {
            count: self.count.load(Ordering::Relaxed),
            time: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}
