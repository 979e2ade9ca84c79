//! Builds task graphs: rings, scopes, dependency inference, prewiring, back-pressure.
//!
//! An [`Orchestrator`] is driven by the user's own thread. Each submit is checked, its producers are looked up, room for it is taken all at once or
//! not at all, and its edges are wired before anybody else can see the task. The orchestrator alone takes slots, heap bytes, edges and index entries
//! back: a few with each submit, and more when room is short. Whatever runs the graph is reached through `prewire-runtime-core` only.

mod access;
mod config;
mod creators;
mod edge_set;
mod external;
mod gate;
mod index;
mod lifecycle;
mod log;
mod orchestrator;
mod reclaim;
mod report;
mod rings;
mod scopes;
mod submit;
mod terms;
mod verdict;
mod waiting;

pub use config::OrchestratorConfig;
pub use gate::RunSpan;
pub use index::Hazards;
pub use log::{EdgeLog, EdgeOrigin, LoggedEdge, LoggedTask, TaskKind};
pub use orchestrator::Orchestrator;
pub use report::{OrchestratorReport, RingUse, Usage};
pub use scopes::ScopeMode;
pub use submit::Submitted;
pub use terms::{Place, Terms};
