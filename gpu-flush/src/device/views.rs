//! What an operation may touch: the declared ranges, as slices.

use std::ops::Range;
use std::ptr::NonNull;

use super::{Access, DeviceError, Label, Tag};

/// A resolved range. Sending it to a stream's thread is part of queueing the operation it belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawView {
    pub(super) label: Label,
    pub(super) base: Option<NonNull<u8>>,
    pub(super) access: Access,
}

/// Up to eight of them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RawViews {
    items: [Option<RawView>; 8],
    len: usize,
}

// SAFETY: a raw view is an address; who may use it when is what the schedule orders and the checker proves.
unsafe impl Send for RawViews {}

impl RawViews {
    pub(super) fn push(&mut self, view: RawView) {
        if let Some(item) = self.items.get_mut(self.len) {
            *item = Some(view);
            self.len += 1;
        }
    }
}

/// The ranges of a running operation.
#[derive(Debug)]
pub(super) struct Views<'a> {
    tag: Tag,
    raw: RawViews,
    source: Option<&'a [u8]>,
}

impl<'a> Views<'a> {
    /// # Safety
    /// While the value lives nothing else writes these ranges, nor reads those that are declared written.
    pub(super) unsafe fn new(tag: Tag, raw: RawViews, source: Option<&'a [u8]>) -> Self {
        Self { tag, raw, source }
    }

    /// Whether range `index` has bytes behind it.
    pub(super) fn is_backed(&self, index: usize) -> bool {
        self.raw.items.get(index).copied().flatten().is_some_and(|view| view.base.is_some())
    }

    pub(super) fn source(&self) -> Option<&'a [u8]> {
        self.source
    }

    fn view(&self, index: usize) -> Result<RawView, DeviceError> {
        self.raw
            .items
            .get(index)
            .copied()
            .flatten()
            .ok_or_else(|| DeviceError::failed(self.tag, format!("the operation declared no range {index}")))
    }

    fn undeclared(&self, view: &RawView, touched: Range<u64>) -> DeviceError {
        DeviceError::Undeclared {
            tag: self.tag,
            label: view.label,
            start: view.access.start,
            end: view.access.end,
            touched_start: view.access.start + touched.start,
            touched_end: view.access.start + touched.end,
            mode: view.access.mode.name(),
        }
    }

    fn pointer(&self, view: &RawView) -> Result<NonNull<u8>, DeviceError> {
        view.base.ok_or_else(|| DeviceError::failed(self.tag, format!("{} has no bytes on this device", view.label)))
    }

    /// Bytes `range` of range `index`, which must have been declared for reading.
    pub(super) fn read(&self, index: usize, range: Range<usize>) -> Result<&[u8], DeviceError> {
        let view = self.view(index)?;
        let declared = (view.access.end - view.access.start) as usize;
        if !view.access.mode.reads() || range.start > range.end || range.end > declared {
            return Err(self.undeclared(&view, range.start as u64..range.end as u64));
        }
        let base = self.pointer(&view)?;
        // SAFETY: `range` is inside the declared range, which is inside the allocation.
        let first = unsafe { base.add(range.start) };
        // SAFETY: the bytes are initialized (zeroed at allocation), and `new`'s caller vouches for the absence of writers.
        Ok(unsafe { std::slice::from_raw_parts(first.as_ptr(), range.len()) })
    }

    /// All of range `index`, declared for reading.
    pub(super) fn read_all(&self, index: usize) -> Result<&[u8], DeviceError> {
        let view = self.view(index)?;
        self.read(index, 0..(view.access.end - view.access.start) as usize)
    }

    /// Bytes `range` of range `index`, which must have been declared for writing. An operation takes each range once.
    #[expect(
        clippy::mut_from_ref,
        reason = "the ranges of one operation are disjoint, and a kernel asks for each once"
    )]
    pub(super) fn write(&self, index: usize, range: Range<usize>) -> Result<&mut [u8], DeviceError> {
        let view = self.view(index)?;
        let declared = (view.access.end - view.access.start) as usize;
        if !view.access.mode.writes() || range.start > range.end || range.end > declared {
            return Err(self.undeclared(&view, range.start as u64..range.end as u64));
        }
        let base = self.pointer(&view)?;
        // SAFETY: `range` is inside the declared range, which is inside the allocation.
        let first = unsafe { base.add(range.start) };
        // SAFETY: initialized memory; `new`'s caller vouches for exclusiveness, and each kernel asks for a range once.
        Ok(unsafe { std::slice::from_raw_parts_mut(first.as_ptr(), range.len()) })
    }

    /// All of range `index`, declared for writing.
    pub(super) fn write_all(&self, index: usize) -> Result<&mut [u8], DeviceError> {
        let view = self.view(index)?;
        self.write(index, 0..(view.access.end - view.access.start) as usize)
    }
}

/// A range of memory the host may use, from [`Device::host_access`](super::Device::host_access).
#[derive(Debug, Clone, Copy)]
pub struct HostView {
    pub(super) base: NonNull<u8>,
    pub(super) len: usize,
}

// SAFETY: as for `RawViews`: an address whose use the caller of `host_access` has vouched for.
unsafe impl Send for HostView {}

impl HostView {
    /// The first byte.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the range is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl HostView {
    pub(super) fn of(tag: Tag, view: RawView) -> Result<Self, DeviceError> {
        let Access { start, end, .. } = view.access;
        match view.base {
            Some(base) => Ok(Self { base, len: (end - start) as usize }),
            None => Err(DeviceError::failed(tag, format!("{} has no bytes on this device", view.label))),
        }
    }
}
