//! What may be asked of workers from any thread, whatever the runtime does meanwhile.

use super::error::HostError;
use prewire_platform_host::crew::{Crew, Lane};
use prewire_runtime_core::chip::CoreKind;
use std::sync::Arc;

/// Asks the workers of a host runtime. A command goes past tasks, and past what other workers are told: each worker has a channel and a thread for commands.
#[derive(Clone, Debug)]
pub struct HostControl(Arc<Crew>);

impl HostControl {
    pub(super) fn new(crew: Arc<Crew>) -> Self {
        HostControl(crew)
    }

    /// Asks a worker how it is.
    ///
    /// # Errors
    /// If there is no such worker, the runtime is closed, or the worker does not answer in time; then it is ended.
    pub fn query(&self, kind: CoreKind, id: u32) -> Result<String, HostError> {
        check_open(&self.0)?;
        let core = lane(&self.0, kind, id)?.core;
        let at = self.0.lanes().iter().position(|lane| lane.core == core).expect("a core that exists is a lane");
        Ok(self.0.status(at)?)
    }
}

/// The place of a worker.
pub(super) fn lane(crew: &Crew, kind: CoreKind, id: u32) -> Result<&Lane, HostError> {
    let of_kind = || crew.lanes().iter().filter(|lane| lane.plan.kind == kind);
    of_kind().find(|lane| lane.plan.id == id).ok_or_else(|| {
        let ids: Vec<String> = of_kind().map(|lane| lane.plan.id.to_string()).collect();
        let kind = if kind == CoreKind::Cube { "next-level" } else { "sub" };
        let valid = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
        HostError::UnknownWorker { kind, id, valid }
    })
}

/// Whether workers can be told anything.
pub(super) fn check_open(crew: &Crew) -> Result<(), HostError> {
    if !crew.is_owner() {
        return Err(HostError::Forked);
    }
    if crew.is_closing() { Err(HostError::Closed) } else { Ok(()) }
}
