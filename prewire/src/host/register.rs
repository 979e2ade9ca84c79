//! Callables that come and go while workers run.

use super::builder::missing_kind;
use super::callable::{Callable, CallableId, Issuer, MadeOf};
use super::error::HostError;
use super::runtime::HostRuntime;
use prewire_platform_host::crew::{CommandError, Crew};
use prewire_platform_host::library;
use prewire_platform_host::process::Command;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::id::KernelId;
use prewire_runtime_core::kernel::KernelSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// What a builder has registered, and as whom.
#[derive(Debug)]
pub(super) struct Callables {
    pub(super) set: KernelSet,
    pub(super) issuer: Issuer,
}

/// What a worker said to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerOutcome {
    /// What messages call the worker.
    pub worker: String,
    /// Its kind.
    pub kind: CoreKind,
    /// Its number among the workers of its kind.
    pub id: u32,
    /// What it said, or why it did not do it.
    pub outcome: Result<String, CommandError>,
}

/// What is registered, and what cannot be any more.
#[derive(Debug)]
pub(super) struct Registry {
    issuer: Issuer,
    /// The numbers that are taken, and what thread workers call by them. A number is free again when no worker knows it any more.
    table: Arc<RwLock<KernelSet>>,
    /// Symbols of which a worker may have a registration that was to be undone.
    uncertain: Vec<(PathBuf, String)>,
}

impl Registry {
    pub(super) fn new(issuer: Issuer, table: Arc<RwLock<KernelSet>>) -> Self {
        Registry { issuer, table, uncertain: Vec::new() }
    }
}

impl HostRuntime {
    /// Registers a library symbol while the workers run. Each loads it, in the middle of a task if need be. It may be used in runs that begin later.
    ///
    /// # Errors
    /// If it is no library symbol, no worker could run it, or it cannot be loaded here or in any worker; then no worker has it. If that could not be made sure
    /// of, the symbol is uncertain and refused from then on.
    pub fn register(&mut self, callable: Callable) -> Result<CallableId, HostError> {
        self.register_with_outcomes(callable).map(|(id, _)| id)
    }

    /// The same, with what each worker process said, in the order of their kinds and ids.
    ///
    /// # Errors
    /// As [`HostRuntime::register`].
    pub fn register_with_outcomes(
        &mut self,
        callable: Callable,
    ) -> Result<(CallableId, Vec<WorkerOutcome>), HostError> {
        self.check_open()?;
        let Callable { name, kind, made_of } = callable;
        let MadeOf::Symbol { library, symbol } = made_of else {
            return Err(match self.spawned_worker(kind) {
                Some(worker) => HostError::NotASymbol { name, worker },
                None => HostError::TooLate { name },
            });
        };
        if let Some(kind) = missing_kind(kind, self.workers[0], self.workers[1]) {
            return Err(HostError::NoWorkerFor { callable: name, kind });
        }
        let is_known = |known: &(PathBuf, String)| known.0 == library && known.1 == symbol;
        if self.registry.uncertain.iter().any(is_known) {
            return Err(HostError::StillUncertain { name });
        }
        // SAFETY: whoever made the callable vouched for the symbol.
        let kernel = unsafe { library::load(&name, kind, &library, &symbol, None) }?;
        let id = write(&self.registry.table).register(kernel.clone())?;
        let command = registration(id, &name, &library, &symbol);
        let outcomes = self.say_each(self.crew.register(&command));
        if outcomes.iter().any(|each| each.outcome.is_err()) {
            let each = texts(&outcomes);
            let undone = self.say_each(self.crew.unregister(id.0));
            // A worker that is gone has nothing; one that did not answer in time is taken to have what it was given.
            let undoes = |each: &WorkerOutcome| matches!(each.outcome, Ok(_) | Err(CommandError::Died { .. }));
            if !undone.iter().all(undoes) {
                // Its number stays taken: who knows whom a worker would call by it.
                self.registry.uncertain.push((library, symbol));
                return Err(HostError::Uncertain { name, each: texts(&undone) });
            }
            write(&self.registry.table).unregister(id);
            return Err(HostError::Registration { name, each });
        }
        let handle = self.registry.issuer.issue(id);
        // The place is free: the same numbers were given out by the table.
        let _kept = self.runtime.place_kernel(u32::from(id.0), kernel, handle.issue);
        Ok((handle, outcomes))
    }

    fn say_each(&self, outcomes: Vec<(usize, Result<String, CommandError>)>) -> Vec<WorkerOutcome> {
        let say = |(lane, outcome): (usize, _)| {
            let lane = &self.crew.lanes()[lane];
            WorkerOutcome { worker: lane.name.clone(), kind: lane.plan.kind, id: lane.plan.id, outcome }
        };
        let mut each: Vec<_> = outcomes.into_iter().map(say).collect();
        each.sort_by_key(|each| (each.kind as u8, each.id));
        each
    }

    /// Takes a callable out: runs that begin later are refused it. What is in flight may still use it, so the workers forget it, and its number is free
    /// again, when that is over. False if it is not registered.
    ///
    /// # Errors
    /// If the runtime is closed, or a worker does not answer.
    pub fn unregister(&mut self, callable: CallableId) -> Result<bool, HostError> {
        self.check_open()?;
        let id = callable.kernel;
        if !self.runtime.kernels().is_issued(id, callable.issue) || !self.runtime.unregister(id) {
            return Ok(false);
        }
        if self.runtime.is_quiet() || cfg!(prewire_mutation = "callables_forgotten_in_flight") {
            let outcomes = self.crew.unregister(id.0);
            write(&self.registry.table).unregister(id);
            for (_, outcome) in outcomes {
                outcome?;
            }
        } else {
            let (crew, table) = (Arc::downgrade(&self.crew), self.registry.table.clone());
            self.runtime.after_runs(move || {
                if let Some(crew) = crew.upgrade() {
                    forget(&crew, &table, id);
                }
            });
        }
        Ok(true)
    }
}

/// What a worker is told so that it loads a symbol.
pub(super) fn registration(id: KernelId, name: &str, library: &Path, symbol: &str) -> Command {
    Command::Register {
        callable: id.0,
        name: name.to_owned(),
        library: library.to_string_lossy().into_owned(),
        symbol: symbol.to_owned(),
        digest: library::digest(library).unwrap_or(0),
    }
}

/// Has the workers forget a callable without waiting for them: what they are told later comes behind it.
fn forget(crew: &Crew, table: &RwLock<KernelSet>, id: KernelId) {
    crew.forget(id.0);
    write(table).unregister(id);
}

fn write(table: &RwLock<KernelSet>) -> std::sync::RwLockWriteGuard<'_, KernelSet> {
    table.write().unwrap_or_else(PoisonError::into_inner)
}

fn texts(outcomes: &[WorkerOutcome]) -> Vec<String> {
    let text = |each: &WorkerOutcome| match &each.outcome {
        Ok(_) => format!("{}: done", each.worker),
        Err(error) => error.to_string(),
    };
    outcomes.iter().map(text).collect()
}
