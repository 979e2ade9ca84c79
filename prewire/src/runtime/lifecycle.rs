//! A runtime from its assembly to its end, and the life of one run.

use super::builder::{Builder, Plan};
use super::kernel::{Kernel, RegisterError};
use super::report::Report;
use super::shared::Shared;
use prewire_orchestrator::Orchestrator;
use prewire_platform_sim::{Fault, Injection};
use prewire_runtime_core::error::RunError;
use prewire_runtime_core::id::{CoreId, KernelId};
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::sync::Ordering;
use prewire_runtime_core::sync::thread::JoinHandle;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use thiserror::Error;

/// A run that went wrong: why, and what it did until then.
#[derive(Clone, Debug, Error)]
#[error("{error}")]
pub struct Failed {
    /// Why.
    pub error: Box<RunError>,
    /// What it did.
    pub report: Box<Report>,
}

/// A chip and everything that runs graphs on it. Made by [`Runtime::builder`]; runs one graph at a time, any number of times. While one runs, the next may be
/// built behind it.
#[derive(Debug)]
pub struct Runtime {
    pub(super) shared: Arc<Shared>,
    pub(super) kernels: Arc<KernelSet>,
    pub(super) plan: Plan,
    pub(super) threads: Vec<JoinHandle<()>>,
}

pub(super) const ALIVE: &str = "the orchestrator lives as long as its runtime";

impl Runtime {
    /// A builder with every setting at its default.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Registers a kernel at the first free id.
    ///
    /// # Errors
    /// If all 1024 places are taken.
    pub fn register(&mut self, kernel: Kernel) -> Result<KernelId, RegisterError> {
        let id = Arc::make_mut(&mut self.kernels).register(kernel.registered)?;
        self.declare(id, kernel.never_waits, kernel.lasts);
        Ok(id)
    }

    /// Registers a kernel at an id of the caller's choosing.
    ///
    /// # Errors
    /// If the id is beyond 1023 or taken.
    pub fn register_at(&mut self, id: u32, kernel: Kernel) -> Result<KernelId, RegisterError> {
        let id = Arc::make_mut(&mut self.kernels).register_at(id, kernel.registered)?;
        self.declare(id, kernel.never_waits, kernel.lasts);
        Ok(id)
    }

    /// Puts a kernel at an id as it is, under an issue.
    pub(crate) fn place_kernel(
        &mut self,
        id: u32,
        kernel: prewire_runtime_core::kernel::Kernel,
        issue: u64,
    ) -> Result<KernelId, RegisterError> {
        let kernels = Arc::make_mut(&mut self.kernels);
        let id = kernels.register_at(id, kernel)?;
        kernels.set_issuer((issue >> 32) as u32);
        kernels.issue(id, issue);
        Ok(id)
    }

    /// Does something as soon as no run is in flight and no late kernel runs: at once, or on the thread that ends the last one. It must not wait for anything.
    pub(crate) fn after_runs(&self, body: impl FnOnce() + Send + 'static) {
        self.shared.do_afterwards(Box::new(body));
    }

    /// Whether a run is in flight, or a late kernel of an earlier one.
    pub(crate) fn is_quiet(&self) -> bool {
        self.shared.runs.in_flight() == 0 && self.shared.still_busy().is_none()
    }

    /// What is known about a kernel besides its function.
    fn declare(&mut self, id: KernelId, never_waits: bool, lasts: Option<Duration>) {
        if never_waits {
            Arc::make_mut(&mut self.kernels).declare_never_waits(id);
        }
        if let Some(machine) = &self.shared.virtual_time {
            machine.platform.set_kernel_time(id, lasts);
        }
    }

    /// Takes a kernel out. False if there was none with this id.
    pub fn unregister(&mut self, kernel: KernelId) -> bool {
        Arc::make_mut(&mut self.kernels).unregister(kernel)
    }

    /// The registered kernels.
    pub fn kernels(&self) -> &KernelSet {
        &self.kernels
    }

    /// What the chip is.
    pub fn chip(&self) -> &prewire_runtime_core::chip::ChipSpec {
        &self.plan.chip
    }

    /// Gives a core a fault from the next run on, or takes it away: for tests of what a program does when hardware fails.
    ///
    /// # Panics
    /// If the chip has no such core.
    pub fn set_fault(&mut self, core: CoreId, fault: Option<Fault>) {
        self.shared.settle();
        self.shared.machine.chip().set_fault(core, fault);
    }

    /// Whether runs take place in virtual time.
    pub fn is_virtual(&self) -> bool {
        self.shared.virtual_time.is_some()
    }

    /// Has something go wrong in every run from the next one on. Only in virtual time: false, and nothing done, elsewhere.
    pub fn inject(&mut self, injection: Injection) -> bool {
        self.shared.settle();
        let machine = self.shared.virtual_time.as_ref();
        machine.inspect(|machine| machine.platform.inject(injection)).is_some()
    }

    /// Takes all injections back.
    pub fn forget_injections(&mut self) {
        self.shared.settle();
        if let Some(machine) = &self.shared.virtual_time {
            machine.platform.forget_injections();
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn kernels_shared(&self) -> &Arc<KernelSet> {
        &self.kernels
    }

    pub(super) fn records_graph(&self) -> bool {
        self.plan.record_graph
    }

    /// Between two callbacks.
    pub(super) fn with_orchestrator<T>(&mut self, body: impl FnOnce(&mut Orchestrator) -> T) -> T {
        let mut orchestrator = self.shared.orchestrator.lock().unwrap_or_else(PoisonError::into_inner);
        body(orchestrator.as_mut().expect(ALIVE))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shared.runs.close();
        self.shared.settle();
        self.shared.closing.store(true, Ordering::Release);
        self.shared.graph.bells.ring_all();
        self.shared.supervisor.ring();
        self.shared.shift.leave();
        let stuck = self.shared.still_busy().is_some();
        for thread in self.threads.drain(..) {
            // A thread that is lost in a kernel keeps what it uses alive by itself; waiting for it could take for ever.
            if !stuck {
                let _panicked = thread.join();
            }
        }
        let orchestrator = self.shared.orchestrator.lock().unwrap_or_else(PoisonError::into_inner).take();
        if stuck {
            // A late kernel of an ended run may still use its heaps.
            std::mem::forget(orchestrator);
        } else {
            self.shared.machine.chip().exit();
            drop(orchestrator);
        }
    }
}
