//! Tensors as C carries them, and views of them.

use crate::error::{Error, guard};
use crate::pointer;
use crate::status::prewire_status;
use prewire::Tensor;
use std::mem::MaybeUninit;

/// The most dimensions that a tensor has.
pub const PREWIRE_MAX_DIMENSIONS: usize = 5;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_data_type {
    /// IEEE 754 binary32.
    F32 = 0,
    /// IEEE 754 binary16.
    F16 = 1,
    /// Signed 32-bit integer.
    I32 = 2,
    /// Signed 16-bit integer.
    I16 = 3,
    /// Signed 8-bit integer.
    I8 = 4,
    /// Unsigned 8-bit integer.
    U8 = 5,
    /// The upper half of an IEEE 754 binary32.
    Bf16 = 6,
    /// Signed 64-bit integer.
    I64 = 7,
    /// Unsigned 64-bit integer.
    U64 = 8,
    /// Unsigned 16-bit integer.
    U16 = 9,
    /// Unsigned 32-bit integer.
    U32 = 10,
    /// A truth value in one byte.
    Bool = 11,
    /// 8-bit float: 4 exponent bits, 3 mantissa bits, no infinities.
    Fp8E4m3fn = 12,
    /// 8-bit exponent-only scale.
    Fp8E8m0 = 13,
    /// 4-bit float, stored one to a byte.
    Fp4E2m1 = 14,
}

/// A strided box of elements in a buffer. Plain data: copy it as you like; it owns nothing and needs no destroying.
///
/// Only the library's functions write into one. One that nobody wrote, or that was changed, is refused.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_tensor {
    /// The library's.
    pub opaque: [MaybeUninit<u64>; 12],
    /// The library's.
    pub seal: u64,
}

const _: () = assert!(size_of::<prewire_tensor>() == 104 && align_of::<prewire_tensor>() == 8);
const _: () = assert!(size_of::<[u64; 12]>() == size_of::<Tensor>() && align_of::<Tensor>() == 8);
const _: () = assert!(PREWIRE_MAX_DIMENSIONS == 5);

const SEAL: u64 = 0x9E37_79B9_7F4A_7C15;

/// What a tensor is known by, of all that would send it elsewhere if it were changed.
#[inline]
fn seal(tensor: &Tensor) -> u64 {
    let place = tensor.address() ^ tensor.start().rotate_left(23) ^ tensor.buffer().to_bits().rotate_left(41);
    let shape =
        u64::from(tensor.layout_hash()) ^ tensor.scope().rotate_left(32) ^ tensor.buffer_bytes().rotate_left(11);
    SEAL ^ place ^ shape
}

impl prewire_tensor {
    /// A tensor for C.
    #[inline]
    pub(crate) fn of(tensor: &Tensor) -> Self {
        let mut made = prewire_tensor { opaque: [MaybeUninit::uninit(); 12], seal: seal(tensor) };
        // SAFETY: the words are as large and as aligned as a tensor.
        unsafe { made.opaque.as_mut_ptr().cast::<Tensor>().write(*tensor) };
        made
    }

    /// The tensor that C hands back, if it is one.
    ///
    /// # Safety
    /// Unless the pointer is NULL or misaligned, it points to a `prewire_tensor` that lives and is not written for `'a`.
    #[inline]
    pub(crate) unsafe fn read<'a>(pointer: *const prewire_tensor, what: &str) -> Result<&'a Tensor, Error> {
        pointer::check(pointer, what)?;
        let place = pointer.cast::<Tensor>();
        // SAFETY: by contract the words can be read, and they are as aligned as a tensor.
        if !unsafe { Tensor::is_well_formed(place) } {
            return Err(no_tensor(what));
        }
        // SAFETY: as above; every other field is a number.
        let tensor = unsafe { &*place };
        // SAFETY: as above.
        if unsafe { (*pointer).seal } != seal(tensor) {
            return Err(no_tensor(what));
        }
        Ok(tensor)
    }
}

#[cold]
fn no_tensor(what: &str) -> Error {
    Error::argument(format_args!("{what} is no tensor that this library made"))
}

/// What a tensor looks like.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct prewire_tensor_info {
    /// The address of its first element in device memory.
    pub address: u64,
    /// The number of its elements.
    pub elements: u64,
    /// The length of each dimension; 1 beyond `dimensions`.
    pub shape: [u32; PREWIRE_MAX_DIMENSIONS],
    /// The distance between neighbours along each dimension, in elements.
    pub strides: [u32; PREWIRE_MAX_DIMENSIONS],
    /// How many dimensions it has.
    pub dimensions: u32,
    /// A `prewire_data_type`.
    pub data_type: u32,
}

/// What a tensor looks like. Both stay the caller's. Any thread may call it.
///
/// # Safety
/// `tensor` is NULL or points to a `prewire_tensor`; `info` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_tensor_describe(
    tensor: *const prewire_tensor,
    info: *mut prewire_tensor_info,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let tensor = unsafe { prewire_tensor::read(tensor, "tensor") }?;
        let mut value = prewire_tensor_info {
            address: tensor.first_byte(),
            elements: tensor.elements(),
            shape: [1; PREWIRE_MAX_DIMENSIONS],
            strides: [1; PREWIRE_MAX_DIMENSIONS],
            dimensions: tensor.dimensions() as u32,
            data_type: u32::from(tensor.data_type().index()),
        };
        value.shape[..tensor.dimensions()].copy_from_slice(tensor.shape());
        value.strides[..tensor.dimensions()].copy_from_slice(tensor.strides());
        // SAFETY: by contract.
        unsafe { pointer::put(info, "info", value) }
    })
}

/// Makes a view.
///
/// # Safety
/// `tensor` is NULL or points to a `prewire_tensor`; `view` is NULL or may be written.
unsafe fn view_of(
    tensor: *const prewire_tensor,
    view: *mut prewire_tensor,
    make: impl FnOnce(&Tensor) -> Result<Tensor, Error>,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let tensor = unsafe { prewire_tensor::read(tensor, "tensor") }?;
        let made = make(tensor)?;
        // SAFETY: by contract.
        unsafe { pointer::put(view, "view", prewire_tensor::of(&made)) }
    })
}

/// Every `step`-th index from `start` up to but not including `end` of one dimension, all of the others. `view` may be `tensor` itself. Any thread may call it.
///
/// # Safety
/// `tensor` is NULL or points to a `prewire_tensor`; `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_tensor_slice(
    tensor: *const prewire_tensor,
    dimension: usize,
    start: u32,
    end: u32,
    step: u32,
    view: *mut prewire_tensor,
) -> prewire_status {
    // SAFETY: by contract.
    unsafe { view_of(tensor, view, |tensor| Ok(tensor.slice(dimension, start, end, step)?)) }
}

/// The box of `shape` elements whose corner lies at `offsets`; both have one number for each of the tensor's `dimensions`. Any thread may call it.
///
/// # Safety
/// `tensor` is NULL or points to a `prewire_tensor`; `shape` and `offsets` are NULL or point to `dimensions` numbers; `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_tensor_view(
    tensor: *const prewire_tensor,
    shape: *const u32,
    offsets: *const u32,
    dimensions: usize,
    view: *mut prewire_tensor,
) -> prewire_status {
    let make = |tensor: &Tensor| {
        // SAFETY: by contract.
        let shape = unsafe { pointer::slice(shape, dimensions, "shape") }?;
        // SAFETY: by contract.
        let offsets = unsafe { pointer::slice(offsets, dimensions, "offsets") }?;
        Ok(tensor.view(shape, offsets)?)
    };
    // SAFETY: by contract.
    unsafe { view_of(tensor, view, make) }
}

/// The tensor with two dimensions exchanged. Any thread may call it.
///
/// # Safety
/// `tensor` is NULL or points to a `prewire_tensor`; `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_tensor_transpose(
    tensor: *const prewire_tensor,
    first: usize,
    second: usize,
    view: *mut prewire_tensor,
) -> prewire_status {
    // SAFETY: by contract.
    unsafe { view_of(tensor, view, |tensor| Ok(tensor.transpose(first, second)?)) }
}

/// The elements of a contiguous tensor in another row-major shape. Any thread may call it.
///
/// # Safety
/// `tensor` is NULL or points to a `prewire_tensor`; `shape` is NULL or points to `dimensions` numbers; `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_tensor_reshape(
    tensor: *const prewire_tensor,
    shape: *const u32,
    dimensions: usize,
    view: *mut prewire_tensor,
) -> prewire_status {
    let make = |tensor: &Tensor| {
        // SAFETY: by contract.
        let shape = unsafe { pointer::slice(shape, dimensions, "shape") }?;
        Ok(tensor.reshape(shape)?)
    };
    // SAFETY: by contract.
    unsafe { view_of(tensor, view, make) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prewire::DataType;

    #[test]
    fn the_types_keep_their_numbers() {
        let named = [
            prewire_data_type::F32,
            prewire_data_type::F16,
            prewire_data_type::I32,
            prewire_data_type::I16,
            prewire_data_type::I8,
            prewire_data_type::U8,
            prewire_data_type::Bf16,
            prewire_data_type::I64,
            prewire_data_type::U64,
            prewire_data_type::U16,
            prewire_data_type::U32,
            prewire_data_type::Bool,
            prewire_data_type::Fp8E4m3fn,
            prewire_data_type::Fp8E8m0,
            prewire_data_type::Fp4E2m1,
        ];
        assert_eq!(named.len(), DataType::ALL.len());
        for (number, (ours, theirs)) in named.into_iter().zip(DataType::ALL).enumerate() {
            assert_eq!((ours as usize, usize::from(theirs.index())), (number, number));
            let name = |text: String| text.to_ascii_lowercase().replace('_', "");
            assert_eq!(name(format!("{ours:?}")), name(theirs.name().to_owned()));
        }
    }
}
