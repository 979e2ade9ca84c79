//! A host runtime from its start to its close.

use super::builder::HostBuilder;
use super::control::{self, HostControl};
use super::error::{HostError, HostStartError};
use super::register::{Callables, Registry};
use crate::runtime::machine::{Machine, Simulated};
use crate::runtime::{Buffer, BufferError, Builder, Equipment, Failed, Report, Run, RunHandle, Runtime};
use prewire_platform_host::HostPlatform;
use prewire_platform_host::board::BoardMemory;
use prewire_platform_host::crew::{CancelToken, Crew, CrewConfig, Stage};
use prewire_platform_host::memory::HostMemory;
use prewire_platform_host::own::Inherited;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::error::SubmitError;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::{Element, KernelSet};
use prewire_runtime_core::waiting::Doorbell;
use std::mem::ManuallyDrop;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

impl Simulated for HostPlatform {}

/// A worker, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// What messages call it.
    pub name: String,
    /// Its number among the workers of its kind.
    pub id: u32,
    /// Its kind: cube for a next-level worker, vector for a sub worker.
    pub kind: CoreKind,
    /// The core that tasks directed at it name.
    pub core: CoreId,
    /// Its process, unless it is a thread.
    pub pid: Option<i32>,
    /// How it ended, if it did.
    pub death: Option<String>,
}

/// Workers, and everything that runs graphs on them. Made by [`HostRuntime::builder`].
#[derive(Debug)]
pub struct HostRuntime {
    level: u32,
    /// Left as it is in a copy of this process, where its threads do not exist.
    pub(super) runtime: ManuallyDrop<Runtime>,
    pub(super) crew: Arc<Crew>,
    pub(super) workers: [usize; 2],
    pub(super) registry: Registry,
    /// How long a close waits for tasks before it kills their workers, if it may.
    pub(super) kill_at_close: Option<Duration>,
    /// Ordinary memory that workers have as of the start.
    pub(super) inherited: Arc<[Inherited]>,
}

impl HostRuntime {
    /// A builder without workers, with every setting at its default.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    pub(super) fn assemble(
        level: u32,
        engine: Builder,
        config: CrewConfig,
        places: Vec<CoreId>,
        callables: Callables,
        cancel: &CancelToken,
        deadline: Option<Instant>,
    ) -> Result<Self, HostStartError> {
        let plan = engine.plan(&|name| std::env::var(name).ok())?;
        let count = |kind| config.workers.iter().filter(|worker| worker.kind == kind).count();
        let workers = [count(CoreKind::Cube), count(CoreKind::Vector)];
        let board = BoardMemory::create()?;
        let memory = Arc::new(HostMemory::default());
        let inherited = config.inherited.clone();
        memory.unshared.inherit(&inherited);
        let shared = Arc::new(RwLock::new(callables.set.clone()));
        let doorbell: Arc<dyn Doorbell> = Arc::new(board.clone());
        let chip = plan.chip().clone();
        let mut made = None;
        let mut runtime = Runtime::assemble_on(plan, Some(doorbell), |scheduling, graph| {
            let crew = Crew::start(config, &places, shared.clone(), board, memory.clone(), cancel, deadline)?;
            made = Some(crew.clone());
            let platform = Arc::new(HostPlatform::new(chip, crew));
            let machine = Arc::new(Machine::new(scheduling, graph.clone(), platform));
            Ok::<_, HostStartError>(Equipment { machine, virtual_time: None, memory })
        })?;
        for (id, kernel) in callables.set.iter() {
            // The place is free: the same ids were given out by the table that the workers share.
            let _kept = runtime.place_kernel(u32::from(id.0), kernel.clone(), callables.set.issue_of(id));
        }
        let crew = made.expect("a runtime that was put together has its workers");
        Ok(HostRuntime {
            level,
            runtime: ManuallyDrop::new(runtime),
            crew,
            workers,
            registry: Registry::new(callables.issuer, shared),
            kill_at_close: None,
            inherited,
        })
    }

    /// The level that the runtime was built with.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// The workers as they are now, next-level workers first.
    pub fn workers(&self) -> Vec<WorkerStatus> {
        let status = |lane: &prewire_platform_host::crew::Lane| {
            let worker = lane.latest();
            WorkerStatus {
                name: lane.name.clone(),
                id: lane.plan.id,
                kind: lane.plan.kind,
                core: lane.core,
                pid: worker.as_ref().and_then(|worker| worker.pid()),
                death: worker.and_then(|worker| match worker.stage() {
                    Stage::Dead(death) => Some(death),
                    _ => None,
                }),
            }
        };
        self.crew.lanes().iter().map(status).collect()
    }

    /// The core of a worker, for tasks directed at it.
    ///
    /// # Errors
    /// If there is no such worker; the error lists those that there are.
    pub fn worker(&self, kind: CoreKind, id: u32) -> Result<CoreId, HostError> {
        Ok(control::lane(&self.crew, kind, id)?.core)
    }

    pub(super) fn check_open(&self) -> Result<(), HostError> {
        control::check_open(&self.crew)
    }

    /// The registered callables.
    pub fn callables(&self) -> &KernelSet {
        self.runtime.kernels()
    }

    /// Asks a worker how it is, through its control channel.
    ///
    /// # Errors
    /// If there is no such worker, or it does not answer in time; then it is ended.
    pub fn query(&self, kind: CoreKind, id: u32) -> Result<String, HostError> {
        self.control().query(kind, id)
    }

    /// A handle that other threads may ask workers with while this runtime is busy with something else.
    pub fn control(&self) -> HostControl {
        HostControl::new(self.crew.clone())
    }

    /// Runs the graph that `orchestration` builds, and returns when no worker touches its memory any more.
    ///
    /// # Errors
    /// As [`Runtime::run`].
    pub fn run(
        &mut self,
        orchestration: impl FnOnce(&mut Run<'_>) -> Result<(), SubmitError>,
    ) -> Result<Report, Failed> {
        self.runtime.run(orchestration)
    }

    /// Has `callback` build a graph and returns while it runs. Several threads may submit.
    ///
    /// # Errors
    /// As [`Runtime::submit`].
    pub fn submit(&self, callback: impl FnOnce(&mut Run<'_>) -> Result<(), SubmitError>) -> Result<RunHandle, Failed> {
        self.runtime.submit(callback)
    }

    /// A shared buffer of zero bytes, which every worker can reach.
    ///
    /// # Errors
    /// If the memory cannot be had or a worker cannot map it.
    pub fn buffer(&mut self, bytes: u64) -> Result<Buffer, BufferError> {
        self.runtime.buffer(bytes)
    }

    /// A shared buffer that holds a copy of `values`.
    ///
    /// # Errors
    /// As [`HostRuntime::buffer`].
    pub fn buffer_from<T: Element>(&mut self, values: &[T]) -> Result<Buffer, BufferError> {
        self.runtime.buffer_from(values)
    }

    /// Copies all of a buffer out.
    ///
    /// # Errors
    /// As [`Runtime::read`].
    pub fn read<T: Element>(&self, buffer: &Buffer) -> Result<Vec<T>, BufferError> {
        self.runtime.read(buffer)
    }

    /// Overwrites all of a buffer.
    ///
    /// # Errors
    /// As [`Runtime::write`].
    pub fn write<T: Element>(&mut self, buffer: &Buffer, values: &[T]) -> Result<(), BufferError> {
        self.runtime.write(buffer, values)
    }

    /// Gives a buffer's memory back now, here and in every worker.
    ///
    /// # Errors
    /// As [`Runtime::release`].
    pub fn release(&self, buffer: &Buffer) -> Result<(), BufferError> {
        self.runtime.release(buffer)
    }
}

impl Drop for HostRuntime {
    fn drop(&mut self) {
        if self.crew.is_owner() {
            self.end_runs_before_drop();
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.runtime) };
        }
    }
}
