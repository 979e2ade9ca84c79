//! What C hands over, checked as far as it can be: NULL, alignment, sizes, text.

use crate::error::Error;
use std::ffi::{CStr, c_char};
use std::path::Path;

/// What a pointer points to.
///
/// # Safety
/// Unless the pointer is NULL or misaligned, it points to a value that lives and is not written for `'a`.
#[inline]
pub(crate) unsafe fn reference<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Error> {
    check(pointer, what)?;
    // SAFETY: by contract, and it is neither NULL nor misaligned.
    Ok(unsafe { &*pointer })
}

/// `count` values; a NULL is none of them.
///
/// # Safety
/// Unless the pointer is NULL or misaligned, it points to `count` values that live and are not written for `'a`.
#[inline]
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, count: usize, what: &str) -> Result<&'a [T], Error> {
    if count == 0 {
        return Ok(&[]);
    }
    check(pointer, what)?;
    if count > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(too_many(count, what));
    }
    // SAFETY: by contract, and it is neither NULL nor misaligned.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// `count` bytes to write to.
///
/// # Safety
/// Unless the pointer is NULL, it points to `count` bytes that nobody else uses for `'a`.
pub(crate) unsafe fn bytes_mut<'a>(pointer: *mut u8, count: usize, what: &str) -> Result<&'a mut [u8], Error> {
    if count == 0 {
        return Ok(&mut []);
    }
    check(pointer, what)?;
    if count > isize::MAX as usize {
        return Err(too_many(count, what));
    }
    // SAFETY: by contract, and it is not NULL.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, count) })
}

/// A text.
///
/// # Safety
/// Unless the pointer is NULL, it points to a text with a NUL at its end that lives for `'a`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Error> {
    check(pointer, what)?;
    // SAFETY: by contract, and it is not NULL.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Error::argument(format_args!("{what} is not UTF-8: {}", text.to_string_lossy())))
}

/// A text that may be left out.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn optional_text<'a>(pointer: *const c_char, what: &str) -> Result<Option<&'a str>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: by contract.
    unsafe { text(pointer, what) }.map(Some)
}

/// The path of a file, of whatever bytes.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn path<'a>(pointer: *const c_char, what: &str) -> Result<&'a Path, Error> {
    use std::os::unix::ffi::OsStrExt;
    check(pointer, what)?;
    // SAFETY: by contract, and it is not NULL.
    let text = unsafe { CStr::from_ptr(pointer) };
    Ok(Path::new(std::ffi::OsStr::from_bytes(text.to_bytes())))
}

/// A place that a result is written to.
///
/// # Safety
/// Unless the pointer is NULL or misaligned, a value may be written to it.
#[inline]
pub(crate) unsafe fn put<T>(pointer: *mut T, what: &str, value: T) -> Result<(), Error> {
    check(pointer, what)?;
    // SAFETY: by contract, and it is neither NULL nor misaligned.
    unsafe { pointer.write(value) };
    Ok(())
}

/// A place for a result, before the work that gives it.
#[inline]
pub(crate) fn check<T>(pointer: *const T, what: &str) -> Result<(), Error> {
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(wrong(pointer.is_null(), what));
    }
    Ok(())
}

/// The first field of a structure that may grow: its size as the caller knows it.
///
/// # Safety
/// Unless the pointer is NULL or misaligned, it points to a structure whose first field is a size.
#[inline]
pub(crate) unsafe fn sized<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Error> {
    check(pointer, what)?;
    check(pointer.cast::<usize>(), what)?;
    // SAFETY: by contract the structure begins with its size.
    let given = unsafe { pointer.cast::<usize>().read() };
    if given != size_of::<T>() {
        return Err(wrong_size(given, size_of::<T>(), what));
    }
    // SAFETY: it is as large as it says, by contract.
    Ok(unsafe { &*pointer })
}

#[cold]
fn wrong(null: bool, what: &str) -> Error {
    Error::argument(format_args!("{what} is {}", if null { "NULL" } else { "misaligned for its type" }))
}

#[cold]
fn too_many(count: usize, what: &str) -> Error {
    Error::argument(format_args!("{what}: {count} are more than memory holds"))
}

#[cold]
fn wrong_size(given: usize, expected: usize, what: &str) -> Error {
    Error::argument(format_args!(
        "{what}.size is {given} and this library's structure has {expected} bytes; initialise it by its function or macro, and compile against the \
         header of the library (ABI {})",
        crate::version::PREWIRE_ABI_VERSION
    ))
}
