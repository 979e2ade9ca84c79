//! The orchestrator against a bare graph: a retirer in the test's own thread stands where schedulers and cores stand, so the test decides when a
//! task ends, and everything can be asserted exactly.

mod arguments;
mod dependencies;
mod failures;
mod release_order;
mod rig;
mod rings;
mod scopes;
mod wiring;
