//! Workers that are programs of their own.

use super::builder::HostBuilder;
use super::error::{HostError, HostStartError};
use super::runtime::HostRuntime;
use prewire_platform_host::crew::{Origin, worker_name};
use prewire_platform_host::process::{Command, Program, serve_spawned};
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::id::KernelId;
use std::path::PathBuf;
use std::process::ExitCode;

/// The main function of a program that is a worker: it serves the runtime that started it, until that one has no more use for it.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     prewire::host::worker_main()
/// }
/// ```
///
/// The program `prewire-worker` is this and nothing else.
pub fn worker_main() -> ExitCode {
    match serve_spawned() {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX)),
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

impl HostBuilder {
    /// The workers of a kind are programs of their own: each is `program`, whose main function is [`worker_main`], started afresh and not forked. That is
    /// safe whatever threads there are. They share buffers as others do, and have none of this program's memory, so that their callables are library symbols.
    pub fn spawn(self, kind: CoreKind, program: impl Into<PathBuf>) -> Self {
        self.spawn_with(kind, program, &[])
    }

    /// The same with arguments for the program.
    pub fn spawn_with(mut self, kind: CoreKind, program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(Into::into).collect();
        self.programs[kind as usize] = Some(Program { path: program.into(), arguments });
        self
    }

    /// A worker for callables of a kind that is a program of its own, if there is one.
    pub(super) fn spawned_worker(&self, kind: Option<CoreKind>) -> Option<String> {
        let of_kind = [(CoreKind::Cube, &self.next_level), (CoreKind::Vector, &self.subs)].into_iter();
        let spawned =
            |(of, _): &(CoreKind, _)| kind.is_none_or(|kind| kind == *of) && self.programs[*of as usize].is_some();
        of_kind.filter(spawned).map(|(of, ids)| worker_name(of, ids.first().copied().unwrap_or(0))).next()
    }

    /// What cannot be handed to a program of its own.
    pub(super) fn check_spawned(&self) -> Result<(), HostStartError> {
        let is_symbol = |id: KernelId| {
            self.symbols
                .iter()
                .any(|command| matches!(command, Command::Register { callable, .. } if *callable == id.0))
        };
        for (id, kernel) in self.callables.iter() {
            if let (false, Some(worker)) = (is_symbol(id), self.spawned_worker(kernel.kind)) {
                return Err(HostError::NotASymbol { name: kernel.name.clone(), worker }.into());
            }
        }
        for kind in [CoreKind::Cube, CoreKind::Vector] {
            if let (true, Some(worker)) = (self.initialise[kind as usize].is_some(), self.spawned_worker(Some(kind))) {
                return Err(HostStartError::SpawnedInitialise { worker });
            }
        }
        Ok(())
    }
}

impl HostRuntime {
    /// A worker for callables of a kind that is a program of its own, if there is one.
    pub(super) fn spawned_worker(&self, kind: Option<CoreKind>) -> Option<String> {
        let mut lanes = self.crew.lanes().iter();
        let spawned =
            lanes.find(|lane| lane.plan.origin == Origin::Spawn && kind.is_none_or(|kind| kind == lane.plan.kind));
        spawned.map(|lane| lane.name.clone())
    }
}
