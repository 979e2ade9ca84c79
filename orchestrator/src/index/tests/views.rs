//! Which views of one buffer depend on each other.

use super::{Access, Hazards, Index, IndexOptions, index, submit, tensor};
use prewire_runtime_core::id::{BufferId, SlotIndex};
use prewire_runtime_core::tensor::{DataType, Tensor, TensorLayout};
use std::collections::BTreeSet;

/// Whether a task that makes `second` depends on one that made `first`, in a fresh index.
fn depends(first: (&Tensor, Access), second: (&Tensor, Access)) -> bool {
    let mut index = index(Hazards::All);
    submit(&mut index, 0, &[first]);
    match submit(&mut index, 1, &[second]).producers().as_slice() {
        [] => false,
        [0] => true,
        other => panic!("{other:?}"),
    }
}

fn raw(writer: &Tensor, reader: &Tensor) -> bool {
    depends((writer, Access::Overwrite), (reader, Access::Read))
}

/// Element arithmetic does not wrap at 32 bits, in the index as in the descriptor.
///
/// Claims CHIP-012.
#[test]
fn rows_beyond_four_gigabytes_are_told_apart() {
    let large = tensor(1, &[70_000, 70_000], DataType::U8);
    let row = |row| large.view(&[1, 70_000], &[row, 0]).unwrap();
    assert_eq!(large.elements(), 4_900_000_000);
    assert!(raw(&row(69_999), &row(69_999)));
    for wrapped in [8642, 8643] {
        assert!(!raw(&row(69_999), &row(wrapped)));
    }
}

/// Tiles of a matrix interleave in memory and are yet told apart.
///
/// Claims CHIP-019.
#[test]
fn two_dimensional_tiles_are_told_apart() {
    let matrix = tensor(1, &[64, 64], DataType::F32);
    let mut index = index(Hazards::All);
    let tiles: Vec<Tensor> =
        (0..16).map(|tile| matrix.view(&[16, 16], &[tile / 4 * 16, tile % 4 * 16]).unwrap()).collect();
    for (slot, tile) in tiles.iter().enumerate() {
        assert!(submit(&mut index, slot as u32, &[(tile, Access::Overwrite)]).found.is_empty());
    }
    let edges: Vec<(u32, u32)> = (0..16u32)
        .flat_map(|tile| {
            let list = submit(&mut index, 16 + tile, &[(&tiles[tile as usize], Access::Read)]);
            list.producers().into_iter().map(move |producer| (producer, tile))
        })
        .collect();
    assert_eq!(edges, (0..16).map(|tile| (tile, tile)).collect::<Vec<_>>());

    let corner = matrix.view(&[16, 16], &[0, 0]).unwrap();
    assert!(raw(&corner, &matrix.view(&[16, 16], &[8, 15]).unwrap()));
    assert!(!raw(&corner, &matrix.view(&[16, 16], &[8, 16]).unwrap()));
}

/// Strided views are compared by their elements.
///
/// Claims CHIP-020.
#[test]
fn strided_views_are_compared_by_elements() {
    let line = tensor(1, &[1024], DataType::F32);
    let every = |first, step| line.slice(0, first, 1024, step).unwrap();
    assert!(!raw(&every(0, 2), &every(1, 2)));
    assert!(raw(&every(0, 2), &every(0, 4)));
    assert!(raw(&every(0, 2), &every(0, 3)));

    let matrix = tensor(2, &[64, 64], DataType::F32);
    let row = matrix.view(&[1, 64], &[10, 0]).unwrap();
    let column = matrix.view(&[64, 1], &[0, 5]).unwrap();
    let right = matrix.view(&[64, 58], &[0, 6]).unwrap();
    assert_eq!(column.strides()[0], 64);
    assert!(raw(&row, &column));
    assert!(!raw(&column, &right));
}

/// Transposed views are compared by the elements they touch.
///
/// Claims CHIP-021.
#[test]
fn transposed_views_are_compared_by_elements() {
    let matrix = tensor(1, &[64, 64], DataType::F32);
    let turned = matrix.transpose(0, 1).unwrap();
    let own = matrix.view(&[16, 16], &[0, 16]).unwrap();
    let same = turned.view(&[16, 16], &[16, 0]).unwrap();
    let other = turned.view(&[16, 16], &[0, 16]).unwrap();
    assert!(raw(&own, &same));
    assert!(!raw(&own, &other));
    let war = |reader: &Tensor, writer: &Tensor| depends((reader, Access::Read), (writer, Access::Overwrite));
    assert!(war(&same, &own));
    assert!(!war(&other, &own));
}

/// Boxes of five dimensions are compared in every one of them.
///
/// Claims CHIP-022.
#[test]
fn five_dimensional_boxes_are_compared_in_every_dimension() {
    let cube = tensor(1, &[3, 4, 5, 6, 7], DataType::U8);
    let boxed = |ranges: [(u32, u32); 5]| {
        cube.view(&ranges.map(|(start, end)| end - start), &ranges.map(|(start, _)| start)).unwrap()
    };
    let writer = boxed([(1, 2), (0, 4), (2, 4), (0, 6), (0, 3)]);
    let reader = |last| boxed([(0, 3), (3, 4), (3, 5), (5, 6), last]);
    assert!(raw(&writer, &reader((2, 7))));
    assert!(!raw(&writer, &reader((3, 7))));
}

/// Makes a grid of 4 x 4 tiles over a matrix with rows of 10 elements, with task 0 as the reader of the first tile.
fn grid_of_tiles(index: &mut Index) -> Tensor {
    let matrix = tensor(1, &[16, 10], DataType::F32);
    for slot in 0..2 {
        let tile = matrix.view(&[4, 4], &[0, 4 * slot]).unwrap();
        submit(index, slot, &[(&tile, Access::Read)]);
    }
    matrix
}

/// A box that lies like a tile of the grid but runs over the end of a row meets the tiles at the beginning of the next row.
#[test]
fn a_box_over_the_end_of_a_row_is_no_tile() {
    let mut index = index(Hazards::All);
    let matrix = grid_of_tiles(&mut index);
    let layout = TensorLayout::strided(&[4, 4], &[10, 1], DataType::F32).unwrap();
    let over =
        |start| Tensor::external(matrix.address(), matrix.buffer_bytes(), matrix.buffer(), start, layout).unwrap();
    assert_eq!(submit(&mut index, 2, &[(&over(8), Access::Update)]).producers(), [0]);
    // In its turn it is found from there, and from the end of its own rows.
    let first = matrix.view(&[1, 1], &[2, 1]).unwrap();
    assert_eq!(submit(&mut index, 3, &[(&first, Access::Read)]).producers(), [2]);
    let last = matrix.view(&[1, 1], &[0, 9]).unwrap();
    assert_eq!(submit(&mut index, 4, &[(&last, Access::Read)]).producers(), [2]);
    assert!(submit(&mut index, 5, &[(&matrix.view(&[1, 1], &[0, 1]).unwrap(), Access::Read)]).found.is_empty());
}

/// A tile and a part of it may begin at the same byte; a writer of either meets both.
#[test]
fn a_tile_and_its_part_in_one_cell_are_both_found() {
    for whole in [false, true] {
        let mut index = index(Hazards::All);
        let matrix = grid_of_tiles(&mut index);
        let part = matrix.view(&[4, 3], &[0, 0]).unwrap();
        submit(&mut index, 2, &[(&part, Access::Read)]);
        let writer = if whole { matrix.view(&[4, 4], &[0, 0]).unwrap() } else { part };
        assert_eq!(submit(&mut index, 3, &[(&writer, Access::Overwrite)]).producers(), [0, 2]);
    }
}

/// Regions that fit no grid are listed by their range; those of other buffers at the same range are not met.
#[test]
fn loose_regions_of_different_buffers_are_kept_apart() {
    const BUFFERS: u64 = 16;
    let mut index =
        Index::new(&IndexOptions { entries: 272, touches: 273, slots: 273, arguments: 1, hazards: Hazards::All });
    let views = |buffer| {
        let layout = TensorLayout::row_major(&[1 << 20], DataType::U8).unwrap();
        let line = Tensor::external(0x1000, 1 << 20, BufferId::runtime(buffer), 0, layout).unwrap();
        // The first is loose for being the first, four smaller sizes take the four grids, the rest of the large ones are loose, too.
        let large = |pieces: std::ops::Range<u32>| pieces.map(|piece| (1 << 15, piece << 15));
        let small = (1..5).map(|size| (1 << (3 * size), 500_000));
        let views = large(0..1).chain(small).chain(large(1..13));
        views.map(|(length, start)| line.slice(0, start, start + length, 1).unwrap()).collect::<Vec<_>>()
    };
    let mut slot = 0;
    for buffer in 0..BUFFERS {
        for view in views(buffer) {
            submit(&mut index, slot, &[(&view, Access::Read)]);
            slot += 1;
        }
    }
    slot = 0;
    for buffer in 0..BUFFERS {
        for (place, view) in views(buffer).iter().enumerate() {
            let list = submit(&mut index, 272, &[(view, Access::Read)]);
            assert!(list.found.is_empty());
            index.begin();
            let mut list = super::List::default();
            index.probe(view, Access::Overwrite, 0, &mut list);
            let own: Vec<u32> = match place {
                // The small ones begin at one byte.
                1..5 => (slot + 1..slot + 5).collect(),
                _ => vec![slot + place as u32],
            };
            assert_eq!(list.producers().into_iter().filter(|&producer| producer != 272).collect::<Vec<_>>(), own);
            index.retire(SlotIndex(272), None);
        }
        slot += 17;
    }
}

/// An empty view inside a region that is being written meets nothing and leaves nothing.
#[test]
fn empty_views_take_part_in_nothing() {
    let matrix = tensor(1, &[64, 16], DataType::F32);
    for offset in [0, 5, 63, 64] {
        let empty = matrix.view(&[0, 16], &[offset, 0]).unwrap();
        for access in [Access::Read, Access::Overwrite, Access::Update] {
            assert!(!depends((&matrix, Access::Overwrite), (&empty, access)));
            assert!(!depends((&empty, access), (&matrix, Access::Overwrite)));
        }
    }
}

/// Common bytes of one piece of external memory count, whatever address and type they were registered with.
#[test]
fn external_tensors_meet_by_their_bytes() {
    let piece = BufferId::external(9);
    let layout = |length, data_type| TensorLayout::row_major(&[length], data_type).unwrap();
    let a = Tensor::external(0x1_0000, 4096, piece, 0, layout(1024, DataType::F32)).unwrap();
    let b = Tensor::external(0x1_0800, 4096, piece, 0, layout(4096, DataType::U8)).unwrap();
    let written = b.view(&[4], &[0]).unwrap();
    assert!(raw(&written, &a.view(&[1], &[512]).unwrap()));
    assert!(!raw(&written, &a.view(&[1], &[513]).unwrap()));
    // The buffer first seen may begin above one seen later.
    assert!(raw(&a.view(&[1], &[512]).unwrap(), &written));
    assert!(!raw(&a.view(&[1], &[513]).unwrap(), &written));
}

struct Random(u64);

impl Random {
    /// SplitMix64, as Steele, Lea and Flood give it.
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % u64::from(bound)) as u32
    }

    /// A view of a buffer of 4096 elements with 1 to 5 dimensions: a box, sliced, then transposed.
    fn view(&mut self) -> Tensor {
        const SHAPES: [&[u32]; 5] = [&[4096], &[64, 64], &[16, 16, 16], &[8, 8, 8, 8], &[4, 8, 4, 8, 4]];
        let shape = SHAPES[self.below(5) as usize];
        let mut view = tensor(1, &[4096], DataType::F32).reshape(shape).unwrap();
        for (dimension, &length) in shape.iter().enumerate() {
            let start = self.below(length);
            let end = start + 1 + self.below(length - start);
            view = view.slice(dimension, start, end, 1 + self.below(3)).unwrap();
        }
        for _ in 0..self.below(3) {
            let dimensions = shape.len() as u32;
            view = view.transpose(self.below(dimensions) as usize, self.below(dimensions) as usize).unwrap();
        }
        view
    }
}

fn elements(tensor: &Tensor) -> BTreeSet<u64> {
    let mut elements = vec![tensor.start()];
    for (&length, &stride) in tensor.shape().iter().zip(tensor.strides()) {
        let length = u64::from(length);
        elements =
            elements.iter().flat_map(|&first| (0..length).map(move |at| first + at * u64::from(stride))).collect();
    }
    elements.into_iter().collect()
}

/// No overlapping pair is missed, and pairs with equal strides are decided exactly.
///
/// Claims CHIP-024.
#[test]
fn ten_thousand_random_pairs_agree_with_sets_of_elements() {
    let mut random = Random(24);
    let mut index = Index::new(&IndexOptions { entries: 4, touches: 4, slots: 2, arguments: 1, hazards: Hazards::All });
    let (mut met, mut apart, mut inexact) = (0, 0, 0);
    for pair in 0..10_000 {
        let (first, second) = (random.view(), random.view());
        let (before, after) =
            [(Access::Overwrite, Access::Read), (Access::Read, Access::Overwrite), (Access::Overwrite, Access::Update)]
                [pair % 3];
        submit(&mut index, 0, &[(&first, before)]);
        let found = submit(&mut index, 1, &[(&second, after)]).producers() == [0];
        index.clear();
        let common = !elements(&first).is_disjoint(&elements(&second));
        assert!(found || !common, "missed: {first:?} {second:?}");
        if first.strides() == second.strides() {
            assert_eq!(found, common, "{first:?} {second:?}");
        }
        met += usize::from(common);
        apart += usize::from(!common);
        inexact += usize::from(found != common);
    }
    assert!(met > 1000 && apart > 1000, "{met} pairs met, {apart} did not");
    assert_eq!(inexact, 0, "every pair of such views is decided exactly");
}
