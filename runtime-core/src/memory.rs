//! Device memory as the engine sees it: addresses, and a few ways to reach the bytes from outside a kernel.

use crate::task::Scalar;
use thiserror::Error;

/// Device memory could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{bytes} bytes of device memory cannot be had: {reason}")]
pub struct OutOfMemory {
    /// What was asked for.
    pub bytes: u64,
    /// Why not.
    pub reason: String,
}

/// Device memory.
pub trait DeviceMemory: Send + Sync {
    /// Takes zeroed bytes, aligned to at least 4096. Pages that nobody touches cost nothing.
    ///
    /// # Errors
    /// If the memory cannot be had.
    fn allocate(&self, bytes: u64) -> Result<u64, OutOfMemory>;

    /// Gives bytes back that [`DeviceMemory::allocate`] gave at this address.
    ///
    /// # Safety
    /// Nobody uses them any more.
    unsafe fn free(&self, address: u64);

    /// Copies bytes out.
    ///
    /// # Safety
    /// The range is allocated or registered, and no task writes it meanwhile.
    unsafe fn read(&self, address: u64, into: &mut [u8]);

    /// Copies bytes in.
    ///
    /// # Safety
    /// The range is allocated or registered, and no task uses it meanwhile.
    unsafe fn write(&self, address: u64, from: &[u8]);

    /// Fills `count` elements of `element_bytes` (1, 2, 4 or 8) with the low bytes of `value`.
    ///
    /// # Safety
    /// As for [`DeviceMemory::write`].
    unsafe fn fill(&self, address: u64, value: Scalar, element_bytes: u64, count: u64);
}
