//! Memory that belongs to the user and lives across runs.

use crate::convert;
use crate::error::guard;
use crate::handle::{self, Handle};
use crate::pointer;
use crate::runtime::prewire_runtime;
use crate::status::prewire_status;
use crate::tensor::prewire_tensor;
use prewire::Buffer;
use std::ffi::c_void;

/// A piece of device memory. Made by `prewire_buffer_create`; tensors are views of it.
#[derive(Debug)]
pub struct prewire_buffer {
    _opaque: [u8; 0],
}

impl Handle for prewire_buffer {
    type Object = Buffer;
    const KIND: u8 = 2;
    const NAME: &'static str = "buffer";
}

/// Makes a buffer of `bytes` bytes, all 0.
///
/// On success `*buffer` is the caller's, who gives it back to `prewire_buffer_destroy`; on failure it is NULL. Any thread may call it while no run is on.
///
/// # Safety
/// `buffer` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_buffer_create(
    runtime: *mut prewire_runtime,
    bytes: u64,
    buffer: *mut *mut prewire_buffer,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        unsafe { pointer::put(buffer, "buffer", std::ptr::null_mut()) }?;
        let made = handle::with(runtime, |assembled| Ok(assembled.runtime.buffer(bytes)?))?;
        let handle = handle::insert::<prewire_buffer>(made)?;
        // SAFETY: as above.
        unsafe { pointer::put(buffer, "buffer", handle) }
    })
}

/// Gives a buffer back. Its tensors name nothing from then on: a submit refuses them. The handle is no longer the caller's. Any thread may call it.
///
/// # Safety
/// Any value may be given; one that is no handle of a buffer is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_buffer_destroy(buffer: *mut prewire_buffer) -> prewire_status {
    guard(|| handle::remove(buffer).map(drop))
}

/// How many bytes a buffer has. Any thread may call it.
///
/// # Safety
/// `bytes` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_buffer_bytes(buffer: *const prewire_buffer, bytes: *mut u64) -> prewire_status {
    guard(|| {
        let value = handle::with(buffer, |buffer| Ok(buffer.bytes()))?;
        // SAFETY: by contract.
        unsafe { pointer::put(bytes, "bytes", value) }
    })
}

/// Overwrites all of a buffer with `bytes` bytes from `data`, which must be as many as it has. `data` stays the caller's and is not kept. Any thread may call it
/// while no run is on.
///
/// # Safety
/// `data` is NULL or points to `bytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_buffer_write(
    runtime: *mut prewire_runtime,
    buffer: *const prewire_buffer,
    data: *const c_void,
    bytes: u64,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let data = unsafe { pointer::slice(data.cast::<u8>(), bytes as usize, "data") }?;
        handle::with(buffer, |buffer| {
            handle::with(runtime, |assembled| Ok(assembled.runtime.write::<u8>(buffer, data)?))
        })
    })
}

/// Copies all of a buffer to `data`, which must have room for exactly as many bytes. `data` stays the caller's. Any thread may call it while no run is on.
///
/// # Safety
/// `data` is NULL or points to `bytes` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_buffer_read(
    runtime: *const prewire_runtime,
    buffer: *const prewire_buffer,
    data: *mut c_void,
    bytes: u64,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let data = unsafe { pointer::bytes_mut(data.cast::<u8>(), bytes as usize, "data") }?;
        handle::with(buffer, |buffer| {
            handle::with(runtime, |assembled| Ok(assembled.runtime.read_into::<u8>(buffer, data)?))
        })
    })
}

/// Part of a buffer, from byte `offset_bytes` on, as a row-major tensor of `dimensions` extents, which are in `shape`.
///
/// `*tensor` is plain data and the caller's; it needs no destroying and names nothing once the buffer is destroyed. Any thread may call it, also while a run is on.
///
/// # Safety
/// `shape` is NULL or points to `dimensions` numbers; `tensor` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_buffer_tensor(
    buffer: *const prewire_buffer,
    offset_bytes: u64,
    data_type: u32,
    shape: *const u32,
    dimensions: usize,
    tensor: *mut prewire_tensor,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let shape = unsafe { pointer::slice(shape, dimensions, "shape") }?;
        let data_type = convert::data_type(data_type)?;
        let made = handle::with(buffer, |buffer| Ok(buffer.tensor_at(offset_bytes, shape, data_type)?))?;
        // SAFETY: by contract.
        unsafe { pointer::put(tensor, "tensor", prewire_tensor::of(&made)) }
    })
}
