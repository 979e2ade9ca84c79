//! How many cores there are, and who shares what.

/// What users call the chip.
pub(crate) const NAME: &str = "a2a3";

/// Clusters of one cube and two vector cores.
pub(crate) const CLUSTERS: u16 = 24;

/// Dies they are spread over.
pub(crate) const DIES: u16 = 1;

/// Threads of a run by default: one orchestrator and three schedulers, which own eight clusters each.
pub(crate) const THREADS_DEFAULT: u8 = 4;

/// The most threads of a run.
pub(crate) const THREADS_MAX: u8 = 4;

/// The schedulers' caches know nothing of what cores and copy engines write, so what they wrote is invalidated before it is read.
pub(crate) const COHERENT: bool = false;
