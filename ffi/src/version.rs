//! Which version of the library it is, and which binary interface it has.

use std::ffi::c_char;

/// The number of the binary interface. A program that was compiled against one number runs with every library that returns the same one.
pub const PREWIRE_ABI_VERSION: u32 = 1;

/// The number of the library's binary interface. Compare it with `PREWIRE_ABI_VERSION` of the header when the library is loaded at run time. Any thread may call it.
#[unsafe(no_mangle)]
pub extern "C" fn prewire_abi_version() -> u32 {
    PREWIRE_ABI_VERSION
}

/// The library's version, such as "0.1.0". The text is static and belongs to the library. Any thread may call it.
#[unsafe(no_mangle)]
pub extern "C" fn prewire_version() -> *const c_char {
    const TEXT: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    TEXT.as_ptr().cast()
}
