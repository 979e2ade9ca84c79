//! What the integration tests share: gates that hold kernels back, and small runtimes.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use prewire::{Argument, Builder, Chip, Engine, Kernel, KernelContext, KernelError, KernelId, Runtime, Task, Tensor};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Holds kernels back until it is opened. A kernel at a gate leaves when its run is cancelled.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<GateState>);

#[derive(Debug, Default)]
struct GateState {
    open: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicU64,
}

impl Gate {
    pub fn new() -> Self {
        Gate::default()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        *self.0.open.lock().unwrap() = true;
        self.0.opened.notify_all();
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        *self.0.open.lock().unwrap()
    }

    /// How many kernels have come to the gate.
    pub fn arrived(&self) -> u64 {
        self.0.waiting.load(Ordering::Acquire)
    }

    /// What a gated kernel calls.
    pub fn pass(&self, kernel: &KernelContext<'_>) -> Result<(), KernelError> {
        self.0.waiting.fetch_add(1, Ordering::AcqRel);
        let mut open = self.0.open.lock().unwrap();
        while !*open {
            if kernel.is_cancelled() {
                return Err(KernelError::new(KernelError::CANCELLED, "cancelled at a gate"));
            }
            kernel.alive();
            open = self.0.opened.wait_timeout(open, Duration::from_millis(2)).unwrap().0;
        }
        Ok(())
    }

    /// A vector kernel that passes the gate and does nothing else.
    pub fn kernel(&self, name: &str) -> Kernel {
        let gate = self.clone();
        Kernel::any(name, move |kernel| gate.pass(kernel))
    }
}

/// Waits until `condition` holds; fails the test if it does not within ten seconds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Both chips, each on both engines.
pub fn everywhere() -> Vec<(Chip, Engine)> {
    Chip::ALL.into_iter().flat_map(|chip| [(chip, Engine::Inline), (chip, Engine::Threads)]).collect()
}

/// A builder that does not look at the test's environment and keeps start-up small.
pub fn small() -> Builder {
    Runtime::builder().clusters(4).threads(2).ring_task_window(256).ring_heap(1 << 20).ring_dep_pool(4096)
}

/// Counts the calls of a kernel.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<AtomicU64>);

impl Calls {
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub fn one(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// A kernel for either kind of core that counts itself.
    pub fn kernel(&self, name: &str) -> Kernel {
        let calls = self.clone();
        Kernel::any(name, move |_| {
            calls.one();
            Ok(())
        })
    }
}

/// A flag that a test sets and kernels read.
pub type Flag = Arc<AtomicBool>;

/// Adds 1 to a u32 of an in-out tensor.
pub fn increment() -> Kernel {
    Kernel::any("increment", |kernel| {
        let mut cell = kernel.output::<u32>(0)?;
        for value in cell.as_mut_slice() {
            *value += 1;
        }
        Ok(())
    })
}

/// A run of `count` increments of one cell; the orchestration of many tests.
pub fn chain(
    runtime: &mut Runtime,
    kernel: KernelId,
    cell: &Tensor,
    count: usize,
) -> Result<prewire::Report, prewire::Failed> {
    runtime.run(|run| {
        for _ in 0..count {
            run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(cell)]))?;
        }
        Ok(())
    })
}
