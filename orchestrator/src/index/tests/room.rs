//! Room, joins, failures, and what is left when tasks go.

use super::{Access, Found, Hazard, Hazards, Index, IndexOptions, List, Room, index, submit, tensor};
use prewire_runtime_core::id::{BufferId, SlotIndex, TaskId};
use prewire_runtime_core::task::Argument;
use prewire_runtime_core::tensor::{DataType, Tensor, TensorLayout};

fn buffer(number: u64) -> Tensor {
    tensor(number, &[64, 64], DataType::F32)
}

/// Look-ups change nothing: an abandoned task is found by nobody and takes no room.
#[test]
fn an_abandoned_look_up_leaves_nothing() {
    let mut index = index(Hazards::All);
    let tensor = buffer(0);
    index.begin();
    let mut list = List::default();
    index.probe(&tensor, Access::Overwrite, 0, &mut list);
    index.probe(&buffer(1), Access::Read, 1, &mut list);
    assert_eq!(index.needs(), Room { entries: 2, touches: 2 });
    assert_eq!(index.in_use(), Room::default());
    assert!(submit(&mut index, 0, &[(&tensor, Access::Read)]).found.is_empty());
    assert_eq!(index.in_use(), Room { entries: 1, touches: 1 });
}

/// A task that goes the straight way makes entries as it looks. They go again with a task that does not come, and with one for which there is no room.
#[test]
fn entries_made_for_an_abandoned_task_go_with_it() {
    let tiles: Vec<Tensor> =
        (0..4).map(|tile| buffer(0).view(&[16, 64], &[16 * tile, 0]).expect("it is within")).collect();
    let mut index = Index::new(&IndexOptions { entries: 3, touches: 8, slots: 8, arguments: 4, hazards: Hazards::All });
    submit(&mut index, 0, &[(&tiles[0], Access::Overwrite)]);
    submit(&mut index, 1, &[(&tiles[1], Access::Overwrite)]);
    let live = Room { entries: 2, touches: 2 };
    let mut list = List::default();
    for (wanted, fits) in [(&tiles[2..3], true), (&tiles[1..3], true), (&tiles[2..4], false)] {
        let arguments: Vec<Argument<'_>> = wanted.iter().map(Argument::InOut).collect();
        index.begin();
        assert_eq!(index.meet(&arguments, &mut list), fits);
        assert_eq!(index.in_use(), Room { entries: 3, ..live });
        index.begin();
        assert_eq!(index.in_use(), live);
    }
    assert_eq!(list.producers(), [1]);
    let after = submit(&mut index, 2, &[(&tiles[2], Access::Read), (&tiles[0], Access::Read)]);
    assert_eq!((after.producers(), index.in_use()), (vec![0], Room { entries: 3, touches: 4 }));
}

/// The need is known before anything is entered, and an index that has just that much room takes the task.
#[test]
fn what_is_needed_is_enough() {
    let mut index = Index::new(&IndexOptions { entries: 4, touches: 6, slots: 8, arguments: 4, hazards: Hazards::All });
    let buffers: Vec<Tensor> = (0..4).map(buffer).collect();
    let mut list = List::default();
    index.begin();
    for (argument, tensor) in buffers.iter().enumerate() {
        index.probe(tensor, Access::Update, argument, &mut list);
    }
    assert_eq!((index.needs(), index.free()), (Room { entries: 4, touches: 4 }, Room { entries: 4, touches: 6 }));
    index.commit(SlotIndex(0));
    index.begin();
    index.probe(&buffers[0], Access::Read, 0, &mut list);
    index.probe(&buffer(4), Access::Read, 1, &mut list);
    assert_eq!((index.needs(), index.free()), (Room { entries: 1, touches: 2 }, Room { entries: 0, touches: 2 }));
    index.begin();
    index.retire(SlotIndex(0), None);
    assert_eq!((index.in_use(), index.peak()), (Room::default(), Room { entries: 4, touches: 4 }));
    assert_eq!(index.capacity(), Room { entries: 4, touches: 6 });
}

/// A task that names new tiles several times, its neighbours in between, makes one region of each, in whatever order.
#[test]
fn a_new_tile_that_is_named_twice_is_one_region() {
    let tiles: Vec<Tensor> =
        (0..8).map(|tile| buffer(0).view(&[8, 64], &[8 * tile, 0]).expect("it is within")).collect();
    let orders: [&[usize]; 5] = [&[2, 2], &[2, 3, 2], &[3, 2, 2, 3], &[0, 2, 1, 2], &[2, 4, 3, 2, 4]];
    for order in orders {
        for last in [Access::Read, Access::Overwrite, Access::Update] {
            let mut index = index(Hazards::All);
            // Two tiles are known, so that the others are cells of a grid.
            submit(&mut index, 0, &[(&tiles[0], Access::Overwrite)]);
            submit(&mut index, 1, &[(&tiles[1], Access::Overwrite)]);
            let mut arguments: Vec<(&Tensor, Access)> =
                order.iter().map(|&tile| (&tiles[tile], Access::Read)).collect();
            arguments.last_mut().expect("there are some").1 = last;
            let known = order.iter().filter(|&&tile| tile < 2).count();
            assert_eq!(submit(&mut index, 2, &arguments).producers().len(), known);
            let named: std::collections::BTreeSet<usize> = order.iter().copied().chain([0, 1]).collect();
            assert_eq!(index.in_use().entries, named.len(), "{order:?}, {last:?}");
            for &tile in named.iter().filter(|&&tile| tile >= 2) {
                let after = submit(&mut index, 10 + tile as u32, &[(&tiles[tile], Access::Update)]);
                assert_eq!(after.producers(), [2], "{order:?}, {last:?}");
            }
        }
    }
}

/// The index is as large as the live tasks: twenty thousand tasks on ever new buffers, tiles and geometries pass through one of 64 entries.
#[test]
fn the_index_is_as_large_as_the_live_tasks() {
    for hazards in [Hazards::All, Hazards::ReadAfterWrite] {
        let mut index = Index::new(&IndexOptions { entries: 64, touches: 64, slots: 32, arguments: 2, hazards });
        for task in 0..20_000u64 {
            let slot = SlotIndex((task % 32) as u32);
            if task >= 32 {
                index.retire(slot, None);
            }
            let (row, column) = (task as u32 % 50, task as u32 / 7 % 40);
            let matrix = tensor(task / 100, &[64, 64 + task as u32 / 100], DataType::F32);
            let wide = matrix.view(&[1 + task as u32 % 13, 1 + task as u32 % 17], &[row, column]).unwrap();
            let narrow = matrix.slice(1, column, 64, 1 + task as u32 % 5).unwrap();
            submit(&mut index, slot.0, &[(&wide, Access::Update), (&narrow, Access::Read)]);
        }
        (0..32).for_each(|slot| index.retire(SlotIndex(slot), None));
        assert_eq!(index.in_use(), Room::default());
    }
}

/// A writer waits for the readers of what it overwrites, and through them for the writer before; one that keeps bytes takes them from that
/// writer.
#[test]
fn an_overwrite_waits_for_readers_and_an_update_for_the_writer_too() {
    let tensor = buffer(0);
    let start = |index: &mut Index| {
        submit(index, 0, &[(&tensor, Access::Overwrite)]);
        submit(index, 1, &[(&tensor, Access::Read)]);
        submit(index, 2, &[(&tensor, Access::Read)]);
    };
    let found = |producer, hazard, data| Found { producer: SlotIndex(producer), hazard, data, argument: 0 };
    let readers = [found(2, Hazard::WriteAfterRead, false), found(1, Hazard::WriteAfterRead, false)];
    let mut first = index(Hazards::All);
    start(&mut first);
    assert_eq!(submit(&mut first, 3, &[(&tensor, Access::Overwrite)]).found, readers);
    // The readers gone into the new writer, the next one meets only that.
    let next = submit(&mut first, 4, &[(&tensor, Access::Overwrite)]).found;
    assert_eq!(next, [found(3, Hazard::WriteAfterWrite, false)]);

    let mut second = index(Hazards::All);
    start(&mut second);
    let list = submit(&mut second, 3, &[(&tensor, Access::Update)]);
    assert_eq!(list.found, [&readers[..], &[found(0, Hazard::ReadAfterWrite, true)]].concat());

    let mut third = index(Hazards::All);
    start(&mut third);
    let part = tensor.view(&[1, 64], &[3, 0]).unwrap();
    let list = submit(&mut third, 3, &[(&part, Access::Overwrite)]);
    assert_eq!(list.found, [&readers[..], &[found(0, Hazard::WriteAfterWrite, true)]].concat());
}

/// A task never depends on itself, in whatever order it names overlapping tensors, and is found once it has been entered.
#[test]
fn a_task_with_overlapping_arguments_is_one_task() {
    let tensor = buffer(0);
    let part = tensor.view(&[8, 8], &[4, 4]).unwrap();
    let all = [Access::Read, Access::Overwrite, Access::Update];
    for (first, second) in all.into_iter().flat_map(|first| all.map(|second| (first, second))) {
        for tensors in [[&tensor, &tensor], [&tensor, &part], [&part, &tensor], [&part, &part]] {
            let mut index = index(Hazards::All);
            let list = submit(&mut index, 0, &[(tensors[0], first), (tensors[1], second)]);
            assert!(list.found.is_empty(), "{list:?}");
            let list = submit(&mut index, 1, &[(&tensor, Access::Update)]);
            assert_eq!(list.producers(), [0]);
            assert!(list.found.iter().any(|found| found.data) || (first, second) == (Access::Read, Access::Read));
            index.retire(SlotIndex(0), None);
            index.retire(SlotIndex(1), None);
            assert_eq!(index.in_use(), Room::default());
        }
    }
}

/// Many readers of one region are offered for joining; the join stands for them, so that a writer finds the join and the readers since.
#[test]
fn a_join_stands_for_its_readers() {
    let mut index = index(Hazards::All);
    let tensor = buffer(0);
    let mut joined = Vec::new();
    let mut slot = 0;
    for _ in 0..100 {
        submit(&mut index, slot, &[(&tensor, Access::Read)]);
        slot += 1;
        while let Some(crowd) = index.crowded() {
            let mut list = List::default();
            index.begin();
            index.probe_join(crowd, &mut list);
            assert!(index.needs().entries == 0 && list.found.iter().all(|found| !found.data));
            index.commit(SlotIndex(slot));
            joined.push((slot, list.producers()));
            slot += 1;
        }
    }
    // 32 readers, and from then on each join with 31 more.
    assert_eq!(joined.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [32, 64, 96]);
    assert_eq!(joined[0].1, (0..32).collect::<Vec<_>>());
    assert_eq!(joined[1].1, (32..64).collect::<Vec<_>>());
    assert_eq!(joined[2].1, (64..96).collect::<Vec<_>>());
    let list = submit(&mut index, 200, &[(&tensor, Access::Overwrite)]);
    assert_eq!(list.producers(), (96..slot).collect::<Vec<_>>());
    (0..slot).chain([200]).for_each(|slot| index.retire(SlotIndex(slot), None));
    assert_eq!(index.in_use(), Room::default());
}

/// What a failed task wrote stays marked until a writer covers it, and does not hide what happens beside it.
#[test]
fn a_failure_is_marked_until_it_is_overwritten() {
    for hazards in [Hazards::All, Hazards::ReadAfterWrite] {
        let mut index = index(hazards);
        let tensor = buffer(0);
        let upper = tensor.view(&[32, 64], &[0, 0]).unwrap();
        let lower = tensor.view(&[32, 64], &[32, 0]).unwrap();
        submit(&mut index, 0, &[(&upper, Access::Update)]);
        index.retire(SlotIndex(0), Some(77));
        assert_eq!(submit(&mut index, 1, &[(&lower, Access::Read)]).failed, []);
        assert_eq!(submit(&mut index, 2, &[(&tensor, Access::Read)]).failed, [(77, 0)]);
        assert_eq!(submit(&mut index, 3, &[(&upper, Access::Overwrite)]).failed, []);
        assert_eq!(submit(&mut index, 4, &[(&tensor, Access::Read)]).failed, []);
        (1..5).for_each(|slot| index.retire(SlotIndex(slot), None));
        assert_eq!(index.in_use(), Room::default());
    }
}

/// A task that was replaced as writer before it failed leaves no mark.
#[test]
fn a_replaced_writer_leaves_no_mark() {
    let mut index = index(Hazards::All);
    let tensor = buffer(0);
    submit(&mut index, 0, &[(&tensor.view(&[4, 4], &[0, 0]).unwrap(), Access::Overwrite)]);
    submit(&mut index, 1, &[(&tensor, Access::Overwrite)]);
    index.retire(SlotIndex(0), Some(5));
    assert_eq!(submit(&mut index, 2, &[(&tensor, Access::Read)]).failed, []);
    index.retire(SlotIndex(1), None);
    index.retire(SlotIndex(2), None);
    assert_eq!(index.in_use(), Room::default());
}

/// The failures in a buffer go with its bytes, those that are still to come included.
#[test]
fn a_dropped_buffer_takes_its_failures_along() {
    for hazards in [Hazards::All, Hazards::ReadAfterWrite] {
        let mut index = index(hazards);
        let layout = TensorLayout::row_major(&[64], DataType::F32).unwrap();
        let output = Tensor::output(0x1000, BufferId::runtime(5), layout, TaskId::NONE, 1).unwrap();
        let half = output.view(&[32], &[0]).unwrap();
        submit(&mut index, 0, &[(&half, Access::Update)]);
        submit(&mut index, 1, &[(&output, Access::Update), (&buffer(1), Access::Update)]);
        index.retire(SlotIndex(0), Some(1));
        index.drop_buffer(BufferId::runtime(5));
        index.retire(SlotIndex(1), Some(2));
        // The mark in the other buffer stays.
        assert_eq!(index.in_use().entries, 1);
        index.drop_buffer(BufferId::external(1));
        assert_eq!(index.in_use(), Room::default());
    }
}

/// A new run starts empty, failures forgotten.
#[test]
fn a_cleared_index_is_a_new_one() {
    for hazards in [Hazards::All, Hazards::ReadAfterWrite] {
        let mut index = index(hazards);
        submit(&mut index, 0, &[(&buffer(0), Access::Update), (&buffer(1), Access::Update)]);
        submit(&mut index, 1, &[(&buffer(0).view(&[3, 3], &[1, 1]).unwrap(), Access::Update)]);
        index.retire(SlotIndex(0), Some(3));
        index.begin();
        index.probe(&buffer(0), Access::Update, 0, &mut List::default());
        index.clear();
        assert_eq!((index.in_use(), index.peak()), (Room::default(), Room::default()));
        let list = submit(&mut index, 1, &[(&buffer(0), Access::Update), (&buffer(1), Access::Update)]);
        assert!(list.found.is_empty() && list.failed.is_empty());
    }
}
