//! A device without threads: the calling thread itself takes steps, in an order a seed decides.
//!
//! Every legal interleaving of the streams can come up, a seed replays it, and a wait that nothing can satisfy is an error at
//! once instead of a hang. It imitates a discrete accelerator (its own memory, staging and transfers) unless told otherwise. The
//! byte-less variant keeps no payload: it computes sizes, offsets and tables, and takes every chunk to be incompressible.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cpu::timed;
use super::memory::Store;
use super::queue::{Item, Queues, Task};
use super::views::Views;
use super::{
    Access, Allocation, BufferId, CounterId, Description, Device, DeviceError, EventId, HostView, Label, Memory,
    Operation, StreamId, Tag, WaitOutcome, kernels,
};

/// Streams as queues that the calling thread steps through.
#[derive(Debug)]
pub struct SteppedDevice {
    description: Description,
    state: Mutex<State>,
    store: Store,
}

#[derive(Debug)]
struct State {
    queues: Queues,
    random: u64,
}

impl State {
    /// xorshift64*, good enough to pick streams.
    fn next_random(&mut self, bound: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound.max(1)
    }
}

impl SteppedDevice {
    /// With real memory, apart from the host's.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(
            Description {
                name: "stepped",
                host_memory: false,
                value_wait: true,
                moves_bytes: true,
                codec_levels: true,
            },
            seed,
        )
    }

    /// Without payload bytes.
    #[must_use]
    pub fn byteless(seed: u64) -> Self {
        Self::with(
            Description {
                name: "byteless",
                host_memory: false,
                value_wait: true,
                moves_bytes: false,
                codec_levels: true,
            },
            seed,
        )
    }

    /// With chosen properties.
    #[must_use]
    pub fn with(description: Description, seed: u64) -> Self {
        let state = State { queues: Queues::default(), random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 };
        Self { description, state: Mutex::new(state), store: Store::new(description.moves_bytes) }
    }

    /// Limits the bytes of all buffers together.
    pub fn set_memory_limit_bytes(&self, bytes: u64) {
        self.store.set_limit(bytes);
    }

    /// Lets `granted` more allocations and streams succeed and makes the next one fail.
    pub fn fail_after(&self, granted: u64) {
        self.store.fail_after(granted);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one step on a random stream that can advance. Returns false if none can.
    fn step(&self, state: &mut State) -> bool {
        let count = state.queues.stream_count();
        let first = state.next_random(u64::from(count)) as u32;
        for offset in 0..count {
            let stream = StreamId((first + offset) % count);
            if state.queues.settle_one(stream) {
                return true;
            }
            if let Some(task) = state.queues.take_task(stream) {
                let result = self.run(&task, None);
                state.queues.set_busy(stream, false);
                if let Err(error) = result {
                    state.queues.fail(error);
                }
                return true;
            }
        }
        false
    }

    fn run(&self, task: &Task, source: Option<&[u8]>) -> Result<(), DeviceError> {
        // SAFETY: `enqueue`'s caller vouched for the ordering of every declared range; the queue kept it.
        let views = unsafe { Views::new(task.tag, task.views, source) };
        timed(task.timer.as_ref(), || kernels::run(task.tag, &task.payload, &views, None))
    }

    fn drive(&self, what: impl Fn() -> String, ready: impl Fn(&Queues) -> bool) -> Result<WaitOutcome, DeviceError> {
        let mut state = self.lock();
        let mut steps = 0u64;
        while !ready(&state.queues) {
            if let Some(error) = state.queues.failure() {
                return Err(error.clone());
            }
            if !self.step(&mut state) {
                let blocked = state.queues.describe_heads();
                return Err(DeviceError::Deadlock { waiting_for: what(), blocked });
            }
            steps += 1;
        }
        match state.queues.failure() {
            Some(error) => Err(error.clone()),
            None => Ok(WaitOutcome { blocked: (steps > 0).then_some(Duration::ZERO) }),
        }
    }

    fn push(&self, stream: StreamId, item: Item) -> Result<(), DeviceError> {
        let mut state = self.lock();
        if let Some(error) = state.queues.failure() {
            return Err(error.clone());
        }
        state.queues.push(stream, item);
        // A few steps now and then, so that streams run ahead of the host in some seeds and lag in others.
        for _ in 0..state.next_random(4) {
            if !self.step(&mut state) {
                break;
            }
        }
        Ok(())
    }
}

impl Device for SteppedDevice {
    fn description(&self) -> Description {
        self.description
    }

    fn create_stream(&self, name: &'static str) -> Result<StreamId, DeviceError> {
        self.store.request(Label::new(name, 0))?;
        Ok(self.lock().queues.add_stream(name))
    }

    fn create_event(&self, _label: Label) -> Result<EventId, DeviceError> {
        Ok(self.lock().queues.add_event())
    }

    fn create_counter(&self, _label: Label) -> Result<CounterId, DeviceError> {
        if !self.description.value_wait {
            return Err(DeviceError::Unsupported("waits on a value in memory"));
        }
        Ok(self.lock().queues.add_counter())
    }

    fn allocate(&self, allocation: Allocation) -> Result<BufferId, DeviceError> {
        self.store.allocate(allocation)
    }

    fn free(&self, buffer: BufferId) {
        self.store.free(buffer);
    }

    unsafe fn enqueue(&self, stream: StreamId, operation: Operation<'_>) -> Result<(), DeviceError> {
        let Operation { tag, payload, accesses, source, timer } = operation;
        let views = self.store.resolve_all(tag, &accesses)?;
        let task = Task { tag, payload, views, timer };
        if let Some(source) = source {
            self.drive(|| tag.to_string(), |queues| queues.is_idle(stream))?;
            return self.run(&task, Some(source)).inspect_err(|error| self.lock().queues.fail(error.clone()));
        }
        self.push(stream, Item::Run(task))
    }

    fn record(&self, stream: StreamId, event: EventId, _edge: Label) -> Result<(), DeviceError> {
        let generation = self.lock().queues.begin_record(event);
        self.push(stream, Item::Record { event, generation })
    }

    fn wait(&self, stream: StreamId, event: EventId, edge: Label) -> Result<(), DeviceError> {
        let generation = self.lock().queues.recorded(event);
        self.push(stream, Item::Wait { event, generation, edge })
    }

    fn wait_counter(
        &self,
        stream: StreamId,
        counter: CounterId,
        at_least: u64,
        edge: Label,
    ) -> Result<(), DeviceError> {
        if !self.description.value_wait {
            return Err(DeviceError::Unsupported("waits on a value in memory"));
        }
        self.push(stream, Item::WaitCounter { counter, at_least, edge })
    }

    fn publish(&self, counter: CounterId, value: u64, _edge: Label) {
        self.lock().queues.set_counter(counter, value);
    }

    fn host_wait(&self, event: EventId, edge: Label) -> Result<WaitOutcome, DeviceError> {
        let generation = self.lock().queues.recorded(event);
        self.drive(|| edge.to_string(), |queues| queues.is_complete(event, generation))
    }

    fn synchronize(&self, stream: StreamId) -> Result<(), DeviceError> {
        self.drive(|| "an idle stream".to_owned(), |queues| queues.is_idle(stream)).map(|_| ())
    }

    unsafe fn upload(&self, operation: Operation<'_>) -> Result<(), DeviceError> {
        let views = self.store.resolve_all(operation.tag, &operation.accesses)?;
        let task = Task { tag: operation.tag, payload: operation.payload, views, timer: operation.timer };
        self.run(&task, operation.source)
    }

    unsafe fn host_access(&self, tag: Tag, access: Access) -> Result<HostView, DeviceError> {
        HostView::of(tag, self.store.resolve(tag, access)?)
    }

    fn allocated_bytes(&self, memory: Memory) -> u64 {
        self.store.allocated_bytes(memory)
    }

    fn buffers(&self) -> Vec<Allocation> {
        self.store.allocations()
    }
}
