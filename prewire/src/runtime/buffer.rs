//! External memory: bytes that belong to the user and live across runs.

use super::lifecycle::Runtime;
use super::shared::Shared;
use prewire_runtime_core::id::BufferId;
use prewire_runtime_core::kernel::Element;
use prewire_runtime_core::memory::OutOfMemory;
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
        let rest = self.bytes.saturating_sub(offset_bytes);
        let layout = TensorLayout::row_major(shape, data_type)?;
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
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.shared.discard(self.address, self.bytes.max(1));
    }
}

impl Runtime {
    /// A buffer of zero bytes.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub fn buffer(&mut self, bytes: u64) -> Result<Buffer, BufferError> {
        let address = self.shared().memory.allocate(bytes.max(1))?;
        let id = self.with_orchestrator(|orchestrator| orchestrator.register_external(address, bytes.max(1)));
        Ok(Buffer { shared: self.shared().clone(), address, bytes, id })
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
    /// If the buffer is another runtime's, its size is no multiple of the element size, or a late kernel may still write it, or runs are in flight.
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
        self.shared().runs.if_quiet(read).map_err(|runs| BufferError::InFlight { runs })?;
        // SAFETY: every element was written, and any bytes are a value of an `Element`.
        unsafe { values.set_len(count) };
        Ok(values)
    }

    /// Copies all of a buffer to memory of the caller's.
    ///
    /// # Errors
    /// If the buffer is another runtime's, the sizes differ, a late kernel may still write it, or runs are in flight.
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
        self.shared().runs.if_quiet(read).map_err(|runs| BufferError::InFlight { runs })
    }

    /// Overwrites all of a buffer.
    ///
    /// # Errors
    /// If the buffer is another runtime's, the sizes differ, or a late kernel may still use it, or runs are in flight.
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
        self.shared().runs.if_quiet(write).map_err(|runs| BufferError::InFlight { runs })
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
