//! Memory of the user's that not every task may use: where it can be reached, and whether it may be written.
//!
//! Its pieces have keys that the table of ordinary memory does not know, so that a task without such memory pays nothing for there being any.

use crate::index::Access;
use crate::submit::Plan;
use prewire_runtime_core::chip::{ChipSpec, CoreKind};
use prewire_runtime_core::error::Refusal;
use prewire_runtime_core::id::{BufferId, CoreId};
use prewire_runtime_core::slot::{Shape, TaskFlags};
use prewire_runtime_core::tensor::Tensor;

/// Which tasks may use a piece of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Where they run.
    pub place: Place,
    /// Whether they may only read it.
    pub read_only: bool,
    /// What whoever is refused can do about it.
    pub advice: &'static str,
}

/// Where memory can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On one core: it is that core's own, in an address space of that core's own.
    Core(CoreId),
    /// On cores of some kinds: cube, vector.
    Kinds([bool; 2]),
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    /// The key's number; `u64::MAX` while the place is free.
    number: u64,
    address: u64,
    bytes: u64,
    terms: Terms,
}

/// The pieces of one orchestrator.
#[derive(Debug, Default)]
pub(crate) struct Limited {
    pieces: Vec<Piece>,
    generation: u64,
}

/// What a key's number has that is one of these pieces'; the table of ordinary memory has no place with it.
pub(crate) const LIMITED: u64 = 1 << 23;
/// The place is in the low bits of the number, how many pieces came before in those from here on.
const GENERATION_SHIFT: u32 = 24;

impl Limited {
    /// Registers the `bytes` at `address`, which are a piece of their own whatever else is at an address with that number.
    pub(crate) fn register(&mut self, address: u64, bytes: u64, terms: Terms) -> BufferId {
        let free = self.pieces.iter().position(|piece| piece.number == u64::MAX);
        let place = free.unwrap_or(self.pieces.len());
        assert!((place as u64) < LIMITED, "more than {LIMITED} pieces of limited memory are registered at once");
        let number = self.generation << GENERATION_SHIFT | LIMITED | place as u64;
        self.generation += 1;
        let piece = Piece { number, address, bytes, terms };
        match self.pieces.get_mut(place) {
            Some(free) => *free = piece,
            None => self.pieces.push(piece),
        }
        BufferId::external(number)
    }

    /// Takes a piece of exactly these bytes back. False if there is none. Its key is never used again.
    pub(crate) fn unregister(&mut self, address: u64, bytes: u64) -> bool {
        let is_it = |piece: &&mut Piece| piece.number != u64::MAX && (piece.address, piece.bytes) == (address, bytes);
        let Some(piece) = self.pieces.iter_mut().find(is_it) else { return false };
        piece.number = u64::MAX;
        true
    }

    /// On which terms a tensor may be used, if it lies in one of these pieces.
    pub(crate) fn terms(&self, tensor: &Tensor) -> Option<Terms> {
        if tensor.scope() != Tensor::NO_SCOPE || !tensor.buffer().is_external() {
            return None;
        }
        let number = tensor.buffer().to_bits() ^ BufferId::external(0).to_bits();
        if number & LIMITED == 0 {
            return None;
        }
        let piece = self.pieces.get((number & (LIMITED - 1)) as usize)?;
        let within = tensor.address() >= piece.address
            && tensor.address() - piece.address + tensor.buffer_bytes() <= piece.bytes;
        (piece.number == number && within).then_some(piece.terms)
    }
}

impl Terms {
    /// Whether a task that is planned so may use the memory so.
    pub(crate) fn allow(&self, plan: &Plan, access: Option<Access>) -> bool {
        let reaches = match self.place {
            Place::Core(core) => target_of(plan) == Some(core) || cfg!(prewire_mutation = "own_memory_for_all"),
            Place::Kinds([cube, vector]) => match plan.parts.shape() {
                Shape::Cube => cube,
                Shape::Vector => vector,
                Shape::Cluster | Shape::Dummy => cube && vector,
            },
        };
        reaches && !(self.read_only && writes(access))
    }

    /// Why the task may not.
    pub(crate) fn refusal(&self, argument: usize, plan: &Plan, access: Option<Access>, chip: &ChipSpec) -> Refusal {
        let advice = self.advice;
        let problem = if self.read_only && writes(access) {
            format!("is read-only; {advice}")
        } else {
            let target = target_name(plan, chip);
            match self.place {
                Place::Core(core) => {
                    let owner = chip.core_name(core);
                    format!("lies in memory of {owner} alone, and the task is sent to {target}; {advice}")
                }
                Place::Kinds(_) => format!("lies in memory that {target} does not have; {advice}"),
            }
        };
        Refusal::Memory { argument, problem }
    }
}

const fn writes(access: Option<Access>) -> bool {
    matches!(access, Some(Access::Overwrite | Access::Update))
}

/// The one core that the task runs on, if there is one.
fn target_of(plan: &Plan) -> Option<CoreId> {
    (plan.flags.has(TaskFlags::DIRECTED) && !plan.flags.has(TaskFlags::DIRECTORY)).then_some(plan.core)
}

/// What messages call the place that the task is sent to.
fn target_name(plan: &Plan, chip: &ChipSpec) -> String {
    if let Some(core) = target_of(plan) {
        return chip.core_name(core);
    }
    let kind = if plan.parts.shape() == Shape::Cube { CoreKind::Cube } else { CoreKind::Vector };
    let first = (0..chip.cores()).map(CoreId).find(|&core| chip.kind_of(core) == kind);
    let several = if plan.flags.has(TaskFlags::DIRECTORY) { "several cores" } else { "any core of its kind" };
    first.map_or_else(|| several.to_owned(), |core| format!("{several}, such as {}", chip.core_name(core)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prewire_runtime_core::tensor::{DataType, TensorLayout};

    fn tensor(address: u64, key: BufferId) -> Tensor {
        let layout = TensorLayout::row_major(&[64], DataType::U8).unwrap();
        Tensor::external(address, 64, key, 0, layout).unwrap()
    }

    #[test]
    fn one_address_in_two_cores_is_two_pieces() {
        let mut limited = Limited::default();
        let terms = |core| Terms { place: Place::Core(CoreId(core)), read_only: false, advice: "" };
        let [first, second] = [0, 1].map(|core| limited.register(0x1000, 64, terms(core)));
        assert_ne!(first, second);
        assert_eq!(limited.terms(&tensor(0x1000, first)), Some(terms(0)));
        assert_eq!(limited.terms(&tensor(0x1000, second)), Some(terms(1)));
        assert_eq!(limited.terms(&tensor(0x1001, second)), None, "it reaches past the end");
        assert_eq!(limited.terms(&tensor(0x1000, BufferId::external(0))), None);
        assert!(limited.unregister(0x1000, 64));
        assert_eq!(limited.terms(&tensor(0x1000, first)), None);
        assert_ne!(limited.register(0x1000, 64, terms(0)), first);
    }
}
