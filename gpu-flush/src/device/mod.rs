//! What the schedule knows of an accelerator: streams, events, buffers, counters, and a closed set of payload operations.
//!
//! [`Device`] is object-safe and speaks in integer handles, so the schedule above it never names a GPU API. Three
//! devices live here: [`CpuDevice`] runs streams as in-order queues on threads; [`SteppedDevice`] runs them on the calling
//! thread in a seeded order, with real memory or, as the *byte-less* device, with none behind its payload. A CUDA device takes
//! its place beside them: every call of the trait has one driver call behind it (asynchronous copy, event record, stream
//! wait, value wait on mapped memory, pinned allocation).

mod cpu;
mod error;
mod handle;
mod kernels;
mod memory;
mod operation;
mod queue;
mod stepped;
mod views;

pub use cpu::{CpuDevice, FIXED_THREADS};
pub use error::DeviceError;
pub use handle::{BufferId, CounterId, EventId, Label, StreamId};
pub use kernels::{
    Bias, Compress, CompressContexts, Fold, Gather, LevelScatter, LevelsScatter, Reduce, Scan, Scatter, TailCopy,
};
pub(crate) use kernels::{SHARD_LINE_BYTES, get_u64, put_u32, put_u64};
pub use operation::{
    Access, Accesses, Allocation, Description, Memory, Mode, Note, Operation, Payload, Role, Tag, Unit, WaitOutcome,
};
pub use stepped::SteppedDevice;
pub use views::HostView;

use std::fmt::Debug;

/// A set of in-order streams, the events between them, and the memory they work on.
///
/// Everything queued on one stream runs in the order it was queued. Between streams, and between a stream and the host,
/// nothing is ordered except by an event, a counter or a synchronization. Labels are for reports; a device does not act on them.
pub trait Device: Debug + Send + Sync {
    /// What this device is and can do. Constant over its life.
    fn description(&self) -> Description;

    /// Creates a stream called `name`.
    ///
    /// # Errors
    /// The device refuses when it is out of streams or lost.
    fn create_stream(&self, name: &'static str) -> Result<StreamId, DeviceError>;

    /// Creates an event. An event that was never recorded is complete.
    ///
    /// # Errors
    /// The device refuses when it is out of events or lost.
    fn create_event(&self, label: Label) -> Result<EventId, DeviceError>;

    /// Creates a counter at zero that streams can wait on and the host can set (a 64-bit word in pinned, mapped memory).
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`] where streams cannot wait on memory; see [`Description::value_wait`].
    fn create_counter(&self, label: Label) -> Result<CounterId, DeviceError>;

    /// Allocates a zeroed buffer.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] with the buffer's label and size.
    fn allocate(&self, allocation: Allocation) -> Result<BufferId, DeviceError>;

    /// Frees a buffer. The caller has made sure that nothing queued or running still uses it.
    fn free(&self, buffer: BufferId);

    /// Queues a payload operation. An operation that borrows host memory ([`Operation::source`]) has read it when this returns.
    ///
    /// # Errors
    /// The operation does not fit its declaration, or the device failed.
    ///
    /// # Safety
    /// Every access the operation declares is ordered against every conflicting access on other streams and threads
    /// by events, counters or synchronization, and its buffers stay allocated until it has run.
    unsafe fn enqueue(&self, stream: StreamId, operation: Operation<'_>) -> Result<(), DeviceError>;

    /// Records `event` at the end of `stream`'s queue. `edge` is the name under which the schedule does it.
    ///
    /// # Errors
    /// The device failed.
    fn record(&self, stream: StreamId, event: EventId, edge: Label) -> Result<(), DeviceError>;

    /// Makes `stream` wait for the most recent record of `event` at the time of this call.
    ///
    /// # Errors
    /// The device failed.
    fn wait(&self, stream: StreamId, event: EventId, edge: Label) -> Result<(), DeviceError>;

    /// Makes `stream` wait until `counter` is at least `at_least`.
    ///
    /// # Errors
    /// The device failed or cannot wait on memory.
    fn wait_counter(&self, stream: StreamId, counter: CounterId, at_least: u64, edge: Label)
    -> Result<(), DeviceError>;

    /// Sets `counter` from the host, after everything this thread did before.
    fn publish(&self, counter: CounterId, value: u64, edge: Label);

    /// Blocks the calling thread, parked, until the most recent record of `event` has completed.
    ///
    /// # Errors
    /// The device failed. A clean shutdown of the device counts as completion.
    fn host_wait(&self, event: EventId, edge: Label) -> Result<WaitOutcome, DeviceError>;

    /// Blocks the calling thread until everything queued on `stream` has run.
    ///
    /// # Errors
    /// The device failed.
    fn synchronize(&self, stream: StreamId) -> Result<(), DeviceError>;

    /// Copies from pinned to device memory in the order of the calling thread: when this returns the bytes are visible to every
    /// operation that runs later on any stream. (On a GPU: an asynchronous copy on a stream of its own, and an event wait.)
    ///
    /// # Errors
    /// The operation does not fit its declaration, or the device failed.
    ///
    /// # Safety
    /// As for [`Device::enqueue`].
    unsafe fn upload(&self, operation: Operation<'_>) -> Result<(), DeviceError>;

    /// Lets the calling thread reach a range of pinned memory, or of device memory where that is host memory. `tag` says
    /// what the host does with it, `mode` how; both go into the record.
    ///
    /// # Errors
    /// The range is outside the buffer, or the buffer is not host-visible.
    ///
    /// # Safety
    /// As for [`Device::enqueue`], for as long as the view is used.
    unsafe fn host_access(&self, tag: Tag, access: Access) -> Result<HostView, DeviceError>;

    /// Tells a checking wrapper something that moves no byte on the device. Devices ignore it.
    fn note(&self, note: Note) {
        let _ = note;
    }

    /// Bytes now allocated in `memory`.
    fn allocated_bytes(&self, memory: Memory) -> u64;

    /// The labels and sizes of all buffers now allocated.
    fn buffers(&self) -> Vec<Allocation>;
}
