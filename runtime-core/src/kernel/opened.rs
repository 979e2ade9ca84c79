//! Which arguments of a kernel are open.
//!
//! Two arguments may name common bytes. A kernel that would hold a writable and another view of the same bytes at once is told so, as a `RefCell`
//! would tell it, so that slices handed out are never aliased.
//!
//! Most kernels have no more than 32 arguments, and when they open one either nothing is open or everything that is open is read. Their way is a few
//! counts; whatever else there may be is looked at apart from it.

use super::KernelError;
use super::view::refuse;
use crate::tensor::TensorArgument;
use std::cell::{Cell, OnceCell};

/// Arguments that need no memory of their own to be remembered in.
const FIRST: usize = 32;

/// An argument that is open for writing; less than this says how often it is open for reading.
const WRITING: u8 = u8::MAX;

/// What an argument is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Others may read, too.
    Reading,
    /// Nobody else may do anything.
    Writing,
}

/// Which arguments are open, and how.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// Accesses for writing that are open.
    writers: Cell<u32>,
    /// Accesses for reading that are open.
    readers: Cell<u32>,
    /// A byte for each of the first arguments. No words of bits: a change to one bit is written as one byte, and who then reads the whole word waits until that
    /// has reached the cache.
    first: [Cell<u8>; FIRST],
    /// A byte for each of the other arguments, which few tasks have, once one of them is opened.
    others: OnceCell<Box<[Cell<u8>]>>,
}

impl Opened {
    /// Opens an argument of `tensors` for reading.
    #[inline(always)]
    pub(super) fn read(&self, tensors: &[TensorArgument], index: usize) -> Result<(), KernelError> {
        if index < FIRST && self.writers.get() == 0 && self.first[index].get() < WRITING - 1 {
            self.set_read(&self.first[index]);
            return Ok(());
        }
        self.open_with_care(tensors, index, Way::Reading)
    }

    /// Opens an argument of `tensors` for writing.
    #[inline(always)]
    pub(super) fn write(&self, tensors: &[TensorArgument], index: usize) -> Result<(), KernelError> {
        if index < FIRST && self.writers.get() | self.readers.get() == 0 {
            self.set_written(&self.first[index]);
            return Ok(());
        }
        self.open_with_care(tensors, index, Way::Writing)
    }

    /// Ends an access for reading.
    #[inline(always)]
    pub(super) fn end_read(&self, index: usize) {
        let place = self.place(index);
        place.set(place.get() - 1);
        self.readers.set(self.readers.get() - 1);
    }

    /// Ends an access for writing.
    #[inline(always)]
    pub(super) fn end_write(&self, index: usize) {
        self.place(index).set(0);
        self.writers.set(self.writers.get() - 1);
    }

    #[inline(always)]
    fn set_read(&self, place: &Cell<u8>) {
        place.set(place.get() + 1);
        self.readers.set(self.readers.get() + 1);
    }

    #[inline(always)]
    fn set_written(&self, place: &Cell<u8>) {
        place.set(WRITING);
        self.writers.set(self.writers.get() + 1);
    }

    /// Where an argument that was opened is remembered.
    #[inline(always)]
    fn place(&self, index: usize) -> &Cell<u8> {
        if index < FIRST { &self.first[index] } else { self.place_apart(index) }
    }

    #[inline(never)]
    fn place_apart(&self, index: usize) -> &Cell<u8> {
        &self.others.get().expect("one of the others was opened")[index - FIRST]
    }

    /// Opens an argument while others are open, or one beyond the first.
    #[inline(never)]
    fn open_with_care(&self, tensors: &[TensorArgument], index: usize, way: Way) -> Result<(), KernelError> {
        if let Some(other) = self.in_the_way(tensors, index, way) {
            let only = if way == Way::Reading { " for writing" } else { "" };
            return Err(refuse(format!("tensor {index} shares bytes with tensor {other}, which is open{only}")));
        }
        if index >= FIRST {
            self.others.get_or_init(|| (FIRST..tensors.len()).map(|_| Cell::new(0)).collect());
        }
        let place = self.place(index);
        match way {
            Way::Reading if place.get() == WRITING - 1 => {
                return Err(refuse(format!("tensor {index} is open for reading {} times", WRITING - 1)));
            }
            Way::Reading => self.set_read(place),
            Way::Writing => self.set_written(place),
        }
        Ok(())
    }

    /// The first open argument that stands in the way of one.
    fn in_the_way(&self, tensors: &[TensorArgument], index: usize, way: Way) -> Option<usize> {
        let places = self.first.iter().chain(self.others.get().into_iter().flatten());
        let blocks = |state: u8| if way == Way::Reading { state == WRITING } else { state != 0 };
        tensors.iter().zip(places).enumerate().find_map(|(other, (tensor, place))| {
            (blocks(place.get()) && (other == index || meet(&tensors[index], tensor))).then_some(other)
        })
    }
}

/// Whether the byte spans of two arguments meet; a span covers the gaps of a strided view, which errs on the safe side.
fn meet(a: &TensorArgument, b: &TensorArgument) -> bool {
    let span = |tensor: &TensorArgument| {
        let start = tensor.first_byte();
        let extent = tensor.dense_row().map_or_else(|| tensor.layout().extent(), u64::from);
        (start, start + extent * tensor.data_type().bytes())
    };
    let ((a_start, a_end), (b_start, b_end)) = (span(a), span(b));
    a_start < b_end && b_start < a_end
}
