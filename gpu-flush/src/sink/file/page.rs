//! Memory and flags for direct I/O.

use std::fs::OpenOptions;

/// Every device we know of takes direct writes aligned to 4096 bytes.
pub(super) const PAGE_BYTES: usize = 4096;

/// One aligned page.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(4096))]
struct Page([u8; PAGE_BYTES]);

/// Bytes that start at a page boundary. Keeps its memory when it is filled again.
#[derive(Debug, Default)]
pub(super) struct PageBuffer {
    pages: Vec<Page>,
    length: usize,
}

impl PageBuffer {
    /// Replaces the contents.
    pub(super) fn fill(&mut self, bytes: &[u8]) {
        self.length = bytes.len();
        self.pages.resize(bytes.len().div_ceil(PAGE_BYTES), Page([0; PAGE_BYTES]));
        let pages = self.pages.as_mut_ptr().cast::<u8>();
        // SAFETY: the pages are contiguous plain bytes, at least as many as `bytes`, and no part of them.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), pages, bytes.len()) };
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        // SAFETY: the pages are contiguous plain bytes, at least `length` of them, all initialised.
        unsafe { std::slice::from_raw_parts(self.pages.as_ptr().cast::<u8>(), self.length) }
    }

    pub(super) fn capacity(&self) -> usize {
        self.pages.capacity() * PAGE_BYTES
    }
}

#[cfg(target_os = "linux")]
pub(super) fn set_direct(open: &mut OpenOptions) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    open.custom_flags(libc::O_DIRECT);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn set_direct(_open: &mut OpenOptions) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
