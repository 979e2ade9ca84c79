//! External memory: bytes that belong to the user and live across runs.

use super::lifecycle::Runtime;
use super::shared::Shared;
use prewire_orchestrator::Terms;
use prewire_runtime_core::id::BufferId;
use prewire_runtime_core::kernel::Element;
use prewire_runtime_core::memory::OutOfMemory;
use prewire_runtime_core::sync::{AtomicBool, Ordering};
use prewire_runtime_core::tensor::{DataType, Tensor, TensorError, TensorLayout};
use std::sync::Arc;
use thiserror::Error;

/// Why a buffer cannot be made, read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum BufferError {
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error("{given} bytes were given for a buffer of {bytes}")]
    Size { given: u64, bytes: u64 },
    #[error("{runs} runs are in flight and may use the buffer; wait for their handles first")]
    InFlight { runs: usize },
    #[error("the buffer belongs to another runtime")]
    Foreign,
    #[error(
        "the buffer of {bytes} bytes at {address:#x} may be named by run {runs}, which is in flight; release it when that is over"
    )]
    Named { bytes: u64, address: u64, runs: String },
    #[error("the buffer of {bytes} bytes has been released")]
    Released { bytes: u64 },
    #[error("a kernel of an earlier run ignores its cancellation and may still use the buffer: {0}")]
    Busy(String),
}

/// A piece of device memory that the user owns.
///
/// Tensors are views of it. Its bytes are reached through the [`Runtime`], and only while no run is in flight, so they are never looked at
/// while tasks write them.
#[derive(Debug)]
pub struct Buffer {
    shared: Arc<Shared>,
    address: u64,
    bytes: u64,
    id: BufferId,
    released: AtomicBool,
}

impl Buffer {
    /// The buffer as a row-major tensor.
    ///
    /// # Errors
    /// If the shape does not fit the buffer or has more than five dimensions.
    pub fn tensor(&self, shape: &[u32], data_type: DataType) -> Result<Tensor, TensorError> {
        self.tensor_at(0, shape, data_type)
    }

    /// Part of the buffer, from `offset_bytes`, as a row-major tensor. Tensors over common bytes are ordered by their bytes, whatever their types.
    ///
    /// # Errors
    /// If the part does not fit the buffer, the offset is not a multiple of the element size, or there are more than five dimensions.
    pub fn tensor_at(&self, offset_bytes: u64, shape: &[u32], data_type: DataType) -> Result<Tensor, TensorError> {
        self.tensor_of(offset_bytes, TensorLayout::row_major(shape, data_type)?)
    }

    pub(crate) fn tensor_of(&self, offset_bytes: u64, layout: TensorLayout) -> Result<Tensor, TensorError> {
        let rest = self.bytes.saturating_sub(offset_bytes);
        Tensor::external(self.address + offset_bytes.min(self.bytes), rest, self.id, 0, layout)
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it lies in device memory.
    pub fn address(&self) -> u64 {
        self.address
    }

    fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !*self.released.get_mut() {
            self.shared.discard(self.address, self.bytes.max(1));
        }
    }
}

impl Runtime {
    /// A buffer of zero bytes.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub fn buffer(&mut self, bytes: u64) -> Result<Buffer, BufferError> {
        let address = self.shared().memory.allocate(bytes.max(1))?;
        Ok(self.buffer_at(address, bytes))
    }

    /// The buffer that stands for memory which the runtime's device memory has.
    pub(crate) fn buffer_at(&mut self, address: u64, bytes: u64) -> Buffer {
        let id = self.with_orchestrator(|orchestrator| orchestrator.register_external(address, bytes.max(1)));
        Buffer { shared: self.shared().clone(), address, bytes, id, released: AtomicBool::new(false) }
    }

    /// Gives back what was dropped while somebody might have used it, if nobody does any more.
    pub(crate) fn free_discarded(&self) {
        self.shared().free_discarded();
    }

    /// Gives a buffer's memory back now; one that is dropped gives it back when no run can use it any more. Tensors over it are refused from then on. A second
    /// release does nothing.
    ///
    /// # Errors
    /// If the buffer is another runtime's, or a run in flight or a late kernel may use it; the error names them.
    pub fn release(&self, buffer: &Buffer) -> Result<(), BufferError> {
        let shared = self.shared();
        if !Arc::ptr_eq(&buffer.shared, shared) {
            return Err(BufferError::Foreign);
        }
        if let Some(culprit) = shared.still_busy() {
            return Err(BufferError::Busy(culprit));
        }
        loop {
            let free = || {
                if !buffer.released.swap(true, Ordering::AcqRel) {
                    shared.free_now(buffer.address, buffer.bytes.max(1));
                }
            };
            if shared.runs.if_quiet(free).is_ok() || buffer.is_released() {
                return Ok(());
            }
            let runs: Vec<String> = shared.runs.accepted().iter().map(|record| record.id.to_string()).collect();
            // They may have ended since.
            if !runs.is_empty() {
                let runs = runs.join(" or ");
                return Err(BufferError::Named { bytes: buffer.bytes, address: buffer.address, runs });
            }
        }
    }

    /// Memory that not every task may use, as a buffer: its bytes are not reached through the runtime.
    pub(crate) fn buffer_on_terms(&mut self, address: u64, bytes: u64, terms: Terms) -> Buffer {
        let id = self.with_orchestrator(|orchestrator| orchestrator.register_limited(address, bytes.max(1), terms));
        Buffer { shared: self.shared().clone(), address, bytes, id, released: AtomicBool::new(false) }
    }

    /// A buffer that holds a copy of `values`.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub fn buffer_from<T: Element>(&mut self, values: &[T]) -> Result<Buffer, BufferError> {
        let buffer = self.buffer(std::mem::size_of_val(values) as u64)?;
        self.write(&buffer, values)?;
        Ok(buffer)
    }

    /// Copies all of a buffer out.
    ///
    /// # Errors
    /// If the buffer is another runtime's, its size is no multiple of the element size, or a late kernel may still write it, runs are in flight, or it has been released.
    pub fn read<T: Element>(&self, buffer: &Buffer) -> Result<Vec<T>, BufferError> {
        self.check(buffer)?;
        let size = std::mem::size_of::<T>();
        if !buffer.bytes.is_multiple_of(size as u64) {
            return Err(BufferError::Size { given: size as u64, bytes: buffer.bytes });
        }
        let count = buffer.bytes as usize / size;
        let mut values = Vec::<T>::with_capacity(count);
        // SAFETY: the spare capacity is `count` elements, and a byte slice over it is only written below.
        let bytes = unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<u8>(), count * size) };
        let read = || {
            // SAFETY: the buffer is allocated and no run is in flight.
            unsafe { self.shared().memory.read(buffer.address, bytes) };
        };
        self.when_quiet(buffer, read)?;
        // SAFETY: every element was written, and any bytes are a value of an `Element`.
        unsafe { values.set_len(count) };
        Ok(values)
    }

    /// Copies all of a buffer to memory of the caller's.
    ///
    /// # Errors
    /// If the buffer is another runtime's, the sizes differ, a late kernel may still write it, runs are in flight, or it has been released.
    pub fn read_into<T: Element>(&self, buffer: &Buffer, values: &mut [T]) -> Result<(), BufferError> {
        self.check(buffer)?;
        let room = std::mem::size_of_val(values);
        if room as u64 != buffer.bytes {
            return Err(BufferError::Size { given: room as u64, bytes: buffer.bytes });
        }
        // SAFETY: plain numbers seen as their bytes, which are only written.
        let bytes = unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<u8>(), room) };
        let read = || {
            // SAFETY: the buffer is allocated and no run is in flight.
            unsafe { self.shared().memory.read(buffer.address, bytes) };
        };
        self.when_quiet(buffer, read)
    }

    /// Overwrites all of a buffer.
    ///
    /// # Errors
    /// If the buffer is another runtime's, the sizes differ, or a late kernel may still use it, runs are in flight, or it has been released.
    pub fn write<T: Element>(&mut self, buffer: &Buffer, values: &[T]) -> Result<(), BufferError> {
        self.check(buffer)?;
        let given = std::mem::size_of_val(values);
        if given as u64 != buffer.bytes {
            return Err(BufferError::Size { given: given as u64, bytes: buffer.bytes });
        }
        // SAFETY: plain numbers seen as their bytes.
        let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), given) };
        let write = || {
            // SAFETY: the buffer is allocated and no run is in flight.
            unsafe { self.shared().memory.write(buffer.address, bytes) };
        };
        self.when_quiet(buffer, write)
    }

    /// Runs `body`, which touches the buffer's bytes, while no run is in flight and nobody releases it.
    fn when_quiet(&self, buffer: &Buffer, body: impl FnOnce()) -> Result<(), BufferError> {
        let unless_released = || {
            if buffer.is_released() {
                return Err(BufferError::Released { bytes: buffer.bytes });
            }
            body();
            Ok(())
        };
        self.shared().runs.if_quiet(unless_released).map_err(|runs| BufferError::InFlight { runs })?
    }

    fn check(&self, buffer: &Buffer) -> Result<(), BufferError> {
        if !Arc::ptr_eq(&buffer.shared, self.shared()) {
            return Err(BufferError::Foreign);
        }
        match self.shared().still_busy() {
            Some(culprit) => Err(BufferError::Busy(culprit)),
            None => Ok(()),
        }
    }
}
