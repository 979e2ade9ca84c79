//! What the writer did and how long it took: stages, stalls, append latency. Reading costs the writer nothing.

mod latency;
mod stages;
mod stalls;

pub use latency::{LATENCY_BUCKETS, Latency, LatencySnapshot};
pub use stages::{Owner, Stage, StageSnapshot, StageTimer, TimerHandle};
pub use stalls::StallMetrics;
