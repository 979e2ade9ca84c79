//! The index against models of it.

mod collisions;
mod cost;
mod programs;
mod room;
mod upstream;
mod views;

use super::{Access, Findings, Found, Hazard, Hazards, Index, IndexOptions, Room};
use prewire_runtime_core::id::{BufferId, SlotIndex};
use prewire_runtime_core::task::Argument;
use prewire_runtime_core::tensor::{DataType, Tensor, TensorLayout};

/// What a look-up found, as a list.
#[derive(Debug, Default)]
struct List {
    found: Vec<Found>,
    failed: Vec<(u64, usize)>,
}

impl Findings for List {
    fn found(&mut self, found: Found) {
        self.found.push(found);
    }

    fn failed(&mut self, cause: u64, argument: usize) {
        self.failed.push((cause, argument));
    }
}

impl List {
    /// The slots found, each once, in rising order.
    fn producers(&self) -> Vec<u32> {
        let mut producers: Vec<u32> = self.found.iter().map(|found| found.producer.0).collect();
        producers.sort_unstable();
        producers.dedup();
        producers
    }
}

fn index(hazards: Hazards) -> Index {
    Index::new(&IndexOptions { entries: 64, touches: 256, slots: 256, arguments: 8, hazards })
}

/// Looks up a task as the orchestrator does: all arguments at once if that can be, and else one by one, each by its kind where that is known, and remembering
/// it where not.
fn look_up(index: &mut Index, arguments: &[(&Tensor, Access)]) -> List {
    let mut list = List::default();
    index.begin();
    let all: Vec<Argument<'_>> = arguments.iter().map(|&(tensor, access)| argument(tensor, access)).collect();
    if index.meet(&all, &mut list) { list } else { look_up_one_by_one(index, arguments) }
}

fn argument(tensor: &Tensor, access: Access) -> Argument<'_> {
    match access {
        Access::Read => Argument::Input(tensor),
        Access::Overwrite => Argument::OutputExisting(tensor),
        Access::Update => Argument::InOut(tensor),
    }
}

fn look_up_one_by_one(index: &mut Index, arguments: &[(&Tensor, Access)]) -> List {
    let mut list = List::default();
    index.begin();
    for (number, &(tensor, access)) in arguments.iter().enumerate() {
        if index.probe_known(&[argument(tensor, access)], number, false, &mut list) == 0 {
            index.probe(tensor, access, number, &mut list);
            index.remember(tensor);
        }
    }
    list
}

/// Looks up and enters a task.
fn submit(index: &mut Index, slot: u32, arguments: &[(&Tensor, Access)]) -> List {
    let list = look_up(index, arguments);
    index.commit(SlotIndex(slot));
    list
}

fn tensor(number: u64, shape: &[u32], data_type: DataType) -> Tensor {
    let layout = TensorLayout::row_major(shape, data_type).unwrap();
    Tensor::external(0x10_0000 * (number + 1), layout.bytes(), BufferId::external(number), 0, layout).unwrap()
}
