//! Inference as the public chip runtime does it: every line of its table.

use super::{Access, Hazards, Room, index, submit, tensor};
use prewire_runtime_core::id::{BufferId, SlotIndex};
use prewire_runtime_core::tensor::{DataType, Tensor, TensorLayout};

/// Readers and in-out arguments wait for earlier writers; plain writers wait for nobody; nobody waits for readers.
#[test]
fn only_reads_after_writes_are_inferred() {
    let mut index = index(Hazards::ReadAfterWrite);
    let whole = tensor(0, &[8, 8], DataType::F32);
    assert!(submit(&mut index, 0, &[(&whole, Access::Read)]).found.is_empty());
    assert!(submit(&mut index, 1, &[(&whole, Access::Update)]).found.is_empty());
    assert!(submit(&mut index, 2, &[(&whole, Access::Overwrite)]).found.is_empty());
    assert_eq!(submit(&mut index, 3, &[(&whole, Access::Read)]).producers(), [1, 2]);
    let list = submit(&mut index, 4, &[(&whole, Access::Update)]);
    assert_eq!(list.producers(), [1, 2]);
    assert!(list.found.iter().all(|found| found.data));
    // The in-out argument covers both.
    assert_eq!(submit(&mut index, 5, &[(&whole, Access::Read)]).producers(), [4]);
    (0..6).for_each(|slot| index.retire(SlotIndex(slot), None));
    assert_eq!(index.in_use(), Room::default());
}

/// Views with the strides of their matrix are compared by dimension, and an in-out argument removes only what it covers.
#[test]
fn tiles_are_compared_by_dimension() {
    let mut index = index(Hazards::ReadAfterWrite);
    let matrix = tensor(0, &[8, 8], DataType::F32);
    let tile = |row, column, rows, columns| matrix.view(&[rows, columns], &[row, column]).unwrap();
    submit(&mut index, 0, &[(&tile(0, 0, 4, 4), Access::Overwrite)]);
    submit(&mut index, 1, &[(&tile(0, 4, 4, 4), Access::Overwrite)]);
    assert_eq!(submit(&mut index, 2, &[(&tile(0, 2, 2, 2), Access::Read)]).producers(), [0]);
    assert_eq!(submit(&mut index, 3, &[(&tile(0, 0, 4, 6), Access::Update)]).producers(), [0, 1]);
    assert_eq!(submit(&mut index, 4, &[(&tile(0, 0, 4, 8), Access::Read)]).producers(), [1, 3]);
}

/// Where layouts differ, a common range of elements is enough, even if no element is common.
#[test]
fn other_layouts_are_compared_by_range() {
    let mut index = index(Hazards::ReadAfterWrite);
    let line = tensor(0, &[64], DataType::F32);
    let every = |first, step| line.slice(0, first, 64, step).unwrap();
    submit(&mut index, 0, &[(&every(0, 2), Access::Overwrite)]);
    assert_eq!(submit(&mut index, 1, &[(&every(1, 2), Access::Read)]).producers(), [0]);
    assert_eq!(submit(&mut index, 2, &[(&line.view(&[1], &[62]).unwrap(), Access::Read)]).producers(), [0]);
    assert!(submit(&mut index, 3, &[(&line.view(&[1], &[63]).unwrap(), Access::Read)]).found.is_empty());
    // An in-out argument of another layout covers nothing, so both are found.
    submit(&mut index, 4, &[(&line, Access::Update)]);
    assert_eq!(submit(&mut index, 5, &[(&line, Access::Read)]).producers(), [0, 4]);
}

/// Tensors meet only under one base address.
#[test]
fn other_base_addresses_do_not_meet() {
    let mut index = index(Hazards::ReadAfterWrite);
    let layout = TensorLayout::row_major(&[16], DataType::U8).unwrap();
    let at = |address| Tensor::external(address, 64, BufferId::external(0), 0, layout).unwrap();
    submit(&mut index, 0, &[(&at(0x1000), Access::Overwrite)]);
    assert!(submit(&mut index, 1, &[(&at(0x1008), Access::Read)]).found.is_empty());
    assert_eq!(submit(&mut index, 2, &[(&at(0x1000), Access::Read)]).producers(), [0]);
}

/// A task that names a tensor twice does not find itself, and later tasks find it.
#[test]
fn a_task_does_not_find_itself() {
    let mut index = index(Hazards::ReadAfterWrite);
    let whole = tensor(0, &[8], DataType::F32);
    let list = submit(&mut index, 0, &[(&whole, Access::Update), (&whole, Access::Read), (&whole, Access::Update)]);
    assert!(list.found.is_empty());
    assert_eq!(submit(&mut index, 1, &[(&whole, Access::Read)]).producers(), [0]);
}
