//! Builds task graphs: rings, scopes, dependency inference, prewiring, back-pressure.

#[allow(dead_code, unused_imports, reason = "the orchestrator around the index is being built")]
mod index;

pub use index::Hazards;
