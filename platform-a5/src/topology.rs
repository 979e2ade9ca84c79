//! How many cores there are, and who shares what.

/// What users call the chip.
pub(crate) const NAME: &str = "a5";

/// Clusters of one cube and two vector cores.
pub(crate) const CLUSTERS: u16 = 36;

/// Dies they are spread over.
pub(crate) const DIES: u16 = 2;

/// Threads of a run by default: one orchestrator and four schedulers, which own nine clusters each.
pub(crate) const THREADS_DEFAULT: u8 = 5;

/// The most threads of a run.
pub(crate) const THREADS_MAX: u8 = 5;

/// The hardware keeps schedulers, cores and copy engines coherent.
pub(crate) const COHERENT: bool = true;
