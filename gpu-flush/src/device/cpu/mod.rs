//! The CPU as a device: each stream is an in-order queue with a thread, device memory is host memory, and large operations
//! spread over a pool of worker threads.
//!
//! A thread that completes something also passes the waits, records and left-out transfers that became possible on the other
//! streams, so a stream's own thread wakes only for real work. All waiting parks.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use super::memory::Store;
use super::queue::{Item, Queues, Task};
use super::views::Views;
use super::{
    Access, Allocation, BufferId, CounterId, Description, Device, DeviceError, EventId, HostView, Label, Memory,
    Operation, Payload, StreamId, Tag, WaitOutcome, kernels,
};
use crate::metrics::TimerHandle;

/// Threads beside the workers: one per stream. A writer makes five streams.
pub const FIXED_THREADS: usize = 5;

/// Streams as queues on threads of this process.
#[derive(Debug)]
pub struct CpuDevice {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    hosts: Condvar,
    store: Store,
    workers: Option<rayon::ThreadPool>,
}

#[derive(Debug, Default)]
struct State {
    queues: Queues,
    wake: Vec<Arc<Condvar>>,
    hosts_waiting: u32,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes what can pass, wakes the threads that have work, and the host threads that wait.
    fn advance(&self, state: &mut State) {
        state.queues.settle();
        for stream in 0..state.queues.stream_count() {
            if state.queues.has_task(StreamId(stream)) {
                state.wake[stream as usize].notify_one();
            }
        }
        if state.hosts_waiting > 0 {
            self.hosts.notify_all();
        }
    }

    fn run(&self, task: &Task, source: Option<&[u8]>) -> Result<(), DeviceError> {
        // SAFETY: `enqueue`'s caller vouched for the ordering of every declared range; the queue kept it.
        let views = unsafe { Views::new(task.tag, task.views, source) };
        timed(task.timer.as_ref(), || kernels::run(task.tag, &task.payload, &views, self.workers.as_ref()))
    }

    /// Blocks until `ready`, parked. Returns how long, if it blocked.
    fn wait_until(&self, ready: impl Fn(&Queues) -> bool) -> Result<WaitOutcome, DeviceError> {
        let mut state = self.lock();
        let mut since = None;
        while !ready(&state.queues) && state.queues.failure().is_none() && !state.queues.is_closed() {
            since.get_or_insert_with(Instant::now);
            state.hosts_waiting += 1;
            state = self.hosts.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.hosts_waiting -= 1;
        }
        match state.queues.failure() {
            Some(error) => Err(error.clone()),
            None => Ok(WaitOutcome { blocked: since.map(|since| since.elapsed()) }),
        }
    }

    fn run_stream(&self, stream: StreamId, wake: &Condvar) {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.queues.take_task(stream) {
                drop(state);
                let result = self.run(&task, None);
                state = self.lock();
                state.queues.set_busy(stream, false);
                if let Err(error) = result {
                    state.queues.fail(error);
                }
                self.advance(&mut state);
            } else if state.queues.is_closed() {
                return;
            } else {
                state = wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Runs `work` and adds its time to `timer`.
pub(super) fn timed<T>(timer: Option<&TimerHandle>, work: impl FnOnce() -> T) -> T {
    match timer {
        Some(timer) => {
            let start = Instant::now();
            let result = work();
            timer.add(start.elapsed());
            result
        }
        None => work(),
    }
}

impl CpuDevice {
    /// A device with `threads_max` workers; `None` takes the cores this process is allowed.
    ///
    /// # Errors
    /// Threads cannot be started.
    pub fn new(threads_max: Option<usize>) -> Result<Self, DeviceError> {
        let allowed = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = threads_max.unwrap_or(allowed).max(1);
        let pool = if workers > 1 {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(workers)
                .thread_name(|index| format!("flush-worker-{index}"))
                .build()
                .map_err(|error| DeviceError::failed("starting worker threads", error))?;
            Some(pool)
        } else {
            None
        };
        let shared = Shared { state: Mutex::default(), hosts: Condvar::new(), store: Store::new(true), workers: pool };
        Ok(Self { shared: Arc::new(shared), threads: Mutex::default() })
    }

    /// The number of worker threads; with one, each stream's own thread does its work.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shared.workers.as_ref().map_or(1, rayon::ThreadPool::current_num_threads)
    }

    /// Limits the bytes of all buffers together.
    pub fn set_memory_limit_bytes(&self, bytes: u64) {
        self.shared.store.set_limit(bytes);
    }

    /// Shuts the device down: its threads end, and whoever waits for it returns.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.queues.close();
        for wake in &state.wake {
            wake.notify_one();
        }
        drop(state);
        self.shared.hosts.notify_all();
    }

    fn push(&self, stream: StreamId, item: Item) -> Result<(), DeviceError> {
        let mut state = self.shared.lock();
        if let Some(error) = state.queues.failure() {
            return Err(error.clone());
        }
        state.queues.push(stream, item);
        self.shared.advance(&mut state);
        Ok(())
    }

    /// Runs an operation that borrows the caller's memory on the calling thread, when its turn on the stream has come.
    fn run_borrowed(&self, stream: StreamId, task: &Task, source: &[u8]) -> Result<(), DeviceError> {
        let shared = &*self.shared;
        let mut state = shared.lock();
        while !state.queues.is_idle(stream) && state.queues.failure().is_none() {
            state.hosts_waiting += 1;
            state = shared.hosts.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.hosts_waiting -= 1;
        }
        if let Some(error) = state.queues.failure() {
            return Err(error.clone());
        }
        state.queues.set_busy(stream, true);
        drop(state);
        let result = shared.run(task, Some(source));
        let mut state = shared.lock();
        state.queues.set_busy(stream, false);
        if let Err(error) = &result {
            state.queues.fail(error.clone());
        }
        shared.advance(&mut state);
        result
    }
}

impl Device for CpuDevice {
    fn description(&self) -> Description {
        Description { name: "cpu", host_memory: true, value_wait: true, moves_bytes: true, codec_levels: true }
    }

    fn create_stream(&self, name: &'static str) -> Result<StreamId, DeviceError> {
        self.shared.store.request(Label::new(name, 0))?;
        let wake = Arc::new(Condvar::new());
        let stream = {
            let mut state = self.shared.lock();
            state.wake.push(Arc::clone(&wake));
            state.queues.add_stream(name)
        };
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name(format!("flush-{name}"))
            .spawn(move || shared.run_stream(stream, &wake))
            .map_err(|error| DeviceError::failed(format!("starting stream {name}"), error))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(stream)
    }

    fn create_event(&self, _label: Label) -> Result<EventId, DeviceError> {
        Ok(self.shared.lock().queues.add_event())
    }

    fn create_counter(&self, _label: Label) -> Result<CounterId, DeviceError> {
        Ok(self.shared.lock().queues.add_counter())
    }

    fn allocate(&self, allocation: Allocation) -> Result<BufferId, DeviceError> {
        self.shared.store.allocate(allocation)
    }

    fn free(&self, buffer: BufferId) {
        self.shared.store.free(buffer);
    }

    unsafe fn enqueue(&self, stream: StreamId, operation: Operation<'_>) -> Result<(), DeviceError> {
        let Operation { tag, payload, accesses, source, timer } = operation;
        if matches!(payload, Payload::Elided) && self.shared.lock().queues.is_idle(stream) {
            return Ok(());
        }
        let views = self.shared.store.resolve_all(tag, &accesses)?;
        let task = Task { tag, payload, views, timer };
        match source {
            Some(source) => self.run_borrowed(stream, &task, source),
            None => self.push(stream, Item::Run(task)),
        }
    }

    fn record(&self, stream: StreamId, event: EventId, _edge: Label) -> Result<(), DeviceError> {
        let mut state = self.shared.lock();
        if let Some(error) = state.queues.failure() {
            return Err(error.clone());
        }
        if state.queues.is_quiet() && state.hosts_waiting == 0 {
            state.queues.complete_now(event);
            return Ok(());
        }
        let generation = state.queues.begin_record(event);
        state.queues.push(stream, Item::Record { event, generation });
        self.shared.advance(&mut state);
        Ok(())
    }

    fn wait(&self, stream: StreamId, event: EventId, edge: Label) -> Result<(), DeviceError> {
        let mut state = self.shared.lock();
        let generation = state.queues.recorded(event);
        if state.queues.is_idle(stream) && state.queues.is_complete(event, generation) {
            return Ok(());
        }
        state.queues.push(stream, Item::Wait { event, generation, edge });
        self.shared.advance(&mut state);
        Ok(())
    }

    fn wait_counter(
        &self,
        stream: StreamId,
        counter: CounterId,
        at_least: u64,
        edge: Label,
    ) -> Result<(), DeviceError> {
        self.push(stream, Item::WaitCounter { counter, at_least, edge })
    }

    fn publish(&self, counter: CounterId, value: u64, _edge: Label) {
        let mut state = self.shared.lock();
        state.queues.set_counter(counter, value);
        self.shared.advance(&mut state);
    }

    fn host_wait(&self, event: EventId, _edge: Label) -> Result<WaitOutcome, DeviceError> {
        let generation = self.shared.lock().queues.recorded(event);
        self.shared.wait_until(|queues| queues.is_complete(event, generation))
    }

    fn synchronize(&self, stream: StreamId) -> Result<(), DeviceError> {
        self.shared.wait_until(|queues| queues.is_idle(stream)).map(|_| ())
    }

    unsafe fn upload(&self, operation: Operation<'_>) -> Result<(), DeviceError> {
        let views = self.shared.store.resolve_all(operation.tag, &operation.accesses)?;
        let task = Task { tag: operation.tag, payload: operation.payload, views, timer: operation.timer };
        self.shared.run(&task, operation.source)
    }

    unsafe fn host_access(&self, tag: Tag, access: Access) -> Result<HostView, DeviceError> {
        HostView::of(tag, self.shared.store.resolve(tag, access)?)
    }

    fn allocated_bytes(&self, memory: Memory) -> u64 {
        self.shared.store.allocated_bytes(memory)
    }

    fn buffers(&self) -> Vec<Allocation> {
        self.shared.store.allocations()
    }
}

impl Drop for CpuDevice {
    /// Ends the stream threads. Operations still queued are dropped; their owner has synchronized if it wanted them run.
    fn drop(&mut self) {
        self.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            drop(thread.join());
        }
    }
}
