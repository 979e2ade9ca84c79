//! Memory that belongs to the user: which bytes may be used, and which pieces of it share bytes.
//!
//! Registrations that overlap, directly or through others, are one connected piece with one key, so that their tensors are compared by bytes.

use crate::terms::LIMITED;
use prewire_runtime_core::id::BufferId;
use prewire_runtime_core::tensor::Tensor;

/// The place of a piece in the table is in the low bits of its key, how often the place was used before in the others. The highest bit of a place is that of
/// [limited memory](crate::terms), which is not in this table.
const PLACE_BITS: u32 = 24;

#[derive(Clone, Copy, Debug)]
struct Piece {
    /// The key's number; `u64::MAX` while the place is free.
    number: u64,
    /// The bytes from the first to the last one of the whole connected piece.
    start: u64,
    end: u64,
    /// The place of the piece that this one has become part of; its own if none.
    part_of: u32,
    /// Live registrations that were given this key.
    registrations: u32,
}

#[derive(Clone, Copy, Debug)]
struct Registration {
    start: u64,
    end: u64,
    place: u32,
}

/// The registered memory of one orchestrator.
#[derive(Debug, Default)]
pub(crate) struct External {
    pieces: Vec<Piece>,
    free: Vec<u32>,
    registrations: Vec<Registration>,
    generation: u64,
    merged: bool,
}

impl External {
    /// Registers the `bytes` at `address`. Returns the key of the piece that they are part of, and whether they connect pieces that had different
    /// keys until now.
    pub(crate) fn register(&mut self, address: u64, bytes: u64) -> (BufferId, bool) {
        let (start, end) = (address, address.saturating_add(bytes));
        let mut touched: Vec<u32> = self
            .registrations
            .iter()
            .filter(|known| known.start < end && start < known.end)
            .map(|known| self.root(known.place))
            .collect();
        touched.sort_unstable();
        touched.dedup();
        let place = match touched.first() {
            Some(&first) => first,
            None => self.new_piece(start, end),
        };
        for &other in touched.iter().skip(1) {
            let Piece { start, end, .. } = self.pieces[other as usize];
            self.pieces[other as usize].part_of = place;
            self.stretch(place, start, end);
            self.merged = true;
        }
        self.stretch(place, start, end);
        self.pieces[place as usize].registrations += 1;
        self.registrations.push(Registration { start, end, place });
        (self.key(place), touched.len() > 1)
    }

    /// Takes one registration of exactly these bytes back. False if there is none. The key of a piece with no registration left is never used
    /// again.
    pub(crate) fn unregister(&mut self, address: u64, bytes: u64) -> bool {
        let end = address.saturating_add(bytes);
        let Some(at) = self.registrations.iter().position(|known| known.start == address && known.end == end) else {
            return false;
        };
        let place = self.registrations.swap_remove(at).place;
        self.pieces[place as usize].registrations -= 1;
        let root = self.root(place);
        if self.registrations.iter().all(|known| self.root(known.place) != root) {
            for place in 0..self.pieces.len() as u32 {
                if self.pieces[place as usize].number != u64::MAX && self.root(place) == root && place != root {
                    self.drop_piece(place);
                }
            }
            self.drop_piece(root);
        }
        self.merged = self.pieces.iter().enumerate().any(|(place, piece)| piece.part_of as usize != place);
        true
    }

    fn new_piece(&mut self, start: u64, end: u64) -> u32 {
        let place = self.free.pop().unwrap_or(self.pieces.len() as u32);
        // The places behind these are those of limited memory.
        assert!(u64::from(place) < LIMITED, "more than {LIMITED} pieces of memory are registered at once");
        let number = self.generation << PLACE_BITS | u64::from(place);
        self.generation += 1;
        let piece = Piece { number, start, end, part_of: place, registrations: 0 };
        if place as usize == self.pieces.len() {
            self.pieces.push(piece);
        } else {
            self.pieces[place as usize] = piece;
        }
        place
    }

    fn drop_piece(&mut self, place: u32) {
        self.pieces[place as usize] = Piece { number: u64::MAX, start: 0, end: 0, part_of: place, registrations: 0 };
        self.free.push(place);
    }

    /// Makes the piece, and all that have become part of it, reach from `start` to `end`.
    fn stretch(&mut self, root: u32, start: u64, end: u64) {
        let whole = self.pieces[root as usize];
        let (start, end) = (whole.start.min(start), whole.end.max(end));
        for place in 0..self.pieces.len() {
            if self.root(place as u32) == root {
                self.pieces[place].start = start;
                self.pieces[place].end = end;
            }
        }
    }

    fn root(&self, mut place: u32) -> u32 {
        while self.pieces[place as usize].part_of != place {
            place = self.pieces[place as usize].part_of;
        }
        place
    }

    fn key(&self, place: u32) -> BufferId {
        BufferId::external(self.pieces[place as usize].number)
    }

    /// Whether the tensor lies in a piece that is registered under its key.
    #[inline]
    pub(crate) fn has(&self, tensor: &Tensor) -> bool {
        let number = number_of(tensor.buffer());
        let Some(piece) = self.pieces.get((number & ((1 << PLACE_BITS) - 1)) as usize) else { return false };
        piece.number == number
            && tensor.address() >= piece.start
            && tensor.address() + tensor.buffer_bytes() <= piece.end
    }

    /// Whether pieces with different keys have become one.
    #[inline]
    pub(crate) fn is_merged(&self) -> bool {
        self.merged
    }

    /// The tensor, under the key of the piece that its own has become part of if that has happened.
    pub(crate) fn rekeyed(&self, tensor: &Tensor) -> Tensor {
        if !self.merged || !tensor.buffer().is_external() || number_of(tensor.buffer()) & LIMITED != 0 {
            return *tensor;
        }
        let place = (number_of(tensor.buffer()) & ((1 << PLACE_BITS) - 1)) as u32;
        let key = self.key(self.root(place));
        let rekeyed = Tensor::external(tensor.address(), tensor.buffer_bytes(), key, tensor.start(), *tensor.layout());
        rekeyed.unwrap_or(*tensor)
    }
}

/// The number in the key of external memory.
#[inline]
fn number_of(buffer: BufferId) -> u64 {
    buffer.to_bits() ^ BufferId::external(0).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prewire_runtime_core::tensor::{DataType, TensorLayout};

    fn tensor(address: u64, bytes: u64, key: BufferId) -> Tensor {
        let layout = TensorLayout::row_major(&[bytes as u32], DataType::U8).unwrap();
        Tensor::external(address, bytes, key, 0, layout).unwrap()
    }

    #[test]
    fn overlapping_pieces_share_a_key_and_others_do_not() {
        let mut external = External::default();
        let (a, _) = external.register(0x1000, 4096);
        let (b, joined) = external.register(0x1800, 4096);
        assert_eq!((a, joined), (b, false));
        let (c, _) = external.register(0x2800, 4096);
        assert_ne!(a, c, "pieces that only touch share no byte");
        assert!(external.has(&tensor(0x1800, 4096, a)));
        assert!(!external.has(&tensor(0x2800, 4096, a)));
        assert!(!external.has(&tensor(0x2800, 4096, BufferId::external(77))));
    }

    #[test]
    fn a_piece_that_connects_two_gives_them_one_key() {
        let mut external = External::default();
        let (a, _) = external.register(0x1000, 0x100);
        let (b, _) = external.register(0x2000, 0x100);
        let (c, joined) = external.register(0x1080, 0x1000);
        assert_eq!((a, true), (c, joined));
        let old = tensor(0x2000, 0x100, b);
        assert!(external.has(&old));
        assert_eq!(external.rekeyed(&old).buffer(), a);
        assert_eq!(external.rekeyed(&old).address(), old.address());
        assert_eq!(external.rekeyed(&tensor(0x1000, 0x100, a)), tensor(0x1000, 0x100, a));
    }

    #[test]
    fn the_key_of_memory_that_is_gone_is_refused_for_ever() {
        let mut external = External::default();
        let (a, _) = external.register(0x1000, 4096);
        let (again, _) = external.register(0x1000, 4096);
        assert_eq!(a, again);
        assert!(external.unregister(0x1000, 4096));
        assert!(external.has(&tensor(0x1000, 4096, a)), "one registration is left");
        assert!(external.unregister(0x1000, 4096));
        assert!(!external.unregister(0x1000, 4096));
        assert!(!external.has(&tensor(0x1000, 4096, a)));
        let (b, _) = external.register(0x1000, 4096);
        assert_ne!(a, b);
        assert!(!external.has(&tensor(0x1000, 4096, a)) && external.has(&tensor(0x1000, 4096, b)));
    }
}
