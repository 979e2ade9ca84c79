//! Tensors that were looked up lately, without their place: the tiles of one tensor differ in nothing but where they begin, so that what was checked and found
//! for one of them holds for all.

use super::pool::NONE;
use super::store::Place;
use prewire_runtime_core::tensor::Tensor;

/// How many kinds are remembered: one for each bit of a word.
pub(super) const KINDS: usize = u64::BITS as usize;

/// What is known of a kind of tensors. Of a size that makes its place a shift and not a product.
#[derive(Clone, Copy, Debug)]
#[repr(align(128))]
pub(super) struct Kind {
    /// Any of them.
    tensor: Tensor,
    /// The key of the buffer's first byte, and the bytes of an element.
    base: u64,
    element_bytes: u64,
    /// The geometry that all have, held as a user.
    geometry: u32,
    /// The buffer's root when it was last looked for; it may have gone since.
    root: u32,
}

impl Kind {
    /// Where a tensor of the kind is, if the root is still the buffer's. It begins where [`Tensor::key_start`] says.
    #[inline(always)]
    pub(super) fn place(&self, tensor: &Tensor) -> Place {
        let start = self.base + tensor.start() * self.element_bytes;
        Place { root: self.root, start, geometry: self.geometry }
    }
}

/// The kinds looked up last, by a hash of them.
#[derive(Debug)]
pub(super) struct Siblings {
    kinds: Box<[Option<Kind>; KINDS]>,
    /// Which places have a kind, so that forgetting few, which every small run does, takes a look at few.
    occupied: u64,
}

impl Siblings {
    pub(super) fn new() -> Siblings {
        Siblings { kinds: Box::new([None; KINDS]), occupied: 0 }
    }

    /// What is known of the tensor's kind.
    #[inline(always)]
    pub(super) fn of(&self, tensor: &Tensor) -> Option<&Kind> {
        self.kinds[place_of(tensor)].as_ref().filter(|kind| kind.tensor.is_sibling_of(tensor))
    }

    /// Remembers a kind. Returns the geometry that is used no more, or [`NONE`].
    pub(super) fn remember(&mut self, tensor: &Tensor, geometry: u32, root: u32) -> u32 {
        let base = tensor.key_start() - tensor.start() * tensor.data_type().bytes();
        let kind = Kind { tensor: *tensor, base, element_bytes: tensor.data_type().bytes(), geometry, root };
        let place = place_of(tensor);
        self.occupied |= 1 << place;
        self.kinds[place].replace(kind).map_or(NONE, |old| old.geometry)
    }

    /// Forgets every kind and calls `drop` with the geometries that they used.
    pub(super) fn forget(&mut self, mut drop: impl FnMut(u32)) {
        while self.occupied != 0 {
            if let Some(kind) = self.kinds[self.occupied.trailing_zeros() as usize].take() {
                drop(kind.geometry);
            }
            self.occupied &= self.occupied - 1;
        }
    }
}

#[inline(always)]
fn place_of(tensor: &Tensor) -> usize {
    (tensor.buffer().to_bits() as usize ^ tensor.layout_hash() as usize) % KINDS
}
