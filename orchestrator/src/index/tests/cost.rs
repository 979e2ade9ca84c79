//! What a look-up costs, counted in searches and in regions compared. A look-up of a tile needs no search and compares one region, or a
//! few where buckets are shared.

use super::{Access, Hazards, Index, IndexOptions, submit, tensor};
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::tensor::{DataType, Tensor};

fn large(slots: usize) -> Index {
    Index::new(&IndexOptions { entries: 8192, touches: 8192, slots, arguments: 2, hazards: Hazards::All })
}

/// `count` tiles of `rows` x `columns` elements, `across` side by side, each `reach` elements larger than its place.
fn tiles(count: u32, across: u32, rows: u32, columns: u32, reach: u32) -> Vec<Tensor> {
    let shape = [count / across * rows + reach, across * columns + reach];
    let whole = tensor(1, &shape, DataType::F32);
    (0..count)
        .map(|tile| {
            let corner = [tile / across * rows, tile % across * columns];
            whole.view(&[rows + reach, columns + reach], &corner).unwrap()
        })
        .collect()
}

/// Two rounds of updates over all tiles with all tiles but one live; the regions compared per update of the second.
fn compared(tiles: &[Tensor]) -> f64 {
    let slots = tiles.len();
    let mut index = large(slots);
    let mut before = 0;
    for task in 0..2 * slots {
        if task == slots {
            before = index.compared();
        }
        if task >= slots {
            index.retire(SlotIndex((task % slots) as u32), None);
        }
        submit(&mut index, (task % slots) as u32, &[(&tiles[task % slots], Access::Update)]);
    }
    (index.compared() - before) as f64 / slots as f64
}

/// The number of live tiles of a buffer does not matter: contiguous pieces, square tiles with and without powers of two, column
/// strips, and tiles that reach into their neighbours.
#[test]
fn a_look_up_compares_no_more_regions_however_many_there_are() {
    for (rows, columns, reach, most) in [(1, 256, 0, 1.3), (16, 16, 0, 1.3), (13, 13, 0, 1.3), (16, 16, 2, 14.0)] {
        for count in [64u32, 4096] {
            let side = 1 << (count.ilog2() / 2);
            let across = if rows == 1 { 1 } else { side };
            let compared = compared(&tiles(count, across, rows, columns, reach));
            assert!(compared <= most, "{rows} x {columns} + {reach}, {count} tiles: {compared}");
        }
    }
    for count in [64, 4096] {
        let compared = compared(&tiles(count, count, 64, 8, 0));
        assert!(compared <= 1.3, "{count} column strips: {compared}");
    }
}

/// Odd views cost something while they live and nothing afterwards.
#[test]
fn odd_views_leave_the_lattice_as_it_was() {
    let tiles = tiles(256, 16, 16, 16, 0);
    let whole = tensor(1, &[256, 256], DataType::F32);
    let odd = [
        whole.view(&[16, 16], &[8, 8]).unwrap(),
        whole.view(&[16, 12], &[32, 32]).unwrap(),
        whole.view(&[10, 10], &[66, 66]).unwrap(),
        whole,
        whole.slice(1, 3, 256, 7).unwrap(),
        whole.view(&[1, 256], &[100, 0]).unwrap(),
        whole.transpose(0, 1).unwrap().view(&[3, 200], &[5, 5]).unwrap(),
        whole.view(&[40, 3], &[7, 7]).unwrap(),
    ];
    let mut index = large(512);
    for (slot, tile) in tiles.iter().enumerate() {
        submit(&mut index, slot as u32, &[(tile, Access::Read)]);
    }
    let per_tile = |index: &mut Index| {
        let before = index.compared();
        for tile in &tiles {
            submit(index, 500, &[(tile, Access::Read)]);
            index.retire(SlotIndex(500), None);
        }
        (index.compared() - before) as f64 / tiles.len() as f64
    };
    assert!(per_tile(&mut index) <= 1.3);
    for (slot, view) in odd.iter().enumerate() {
        submit(&mut index, 300 + slot as u32, &[(view, Access::Read)]);
    }
    let disturbed = per_tile(&mut index);
    assert!(disturbed > 1.5 && disturbed <= 2.0 + odd.len() as f64, "{disturbed}");
    (0..odd.len()).for_each(|slot| index.retire(SlotIndex(300 + slot as u32), None));
    assert!(per_tile(&mut index) <= 1.3);
}

/// A buffer that was touched as a whole first forms its lattice all the same, once the whole is gone.
#[test]
fn a_lattice_forms_under_a_view_of_the_whole() {
    let tiles = tiles(256, 16, 16, 16, 0);
    let mut index = large(512);
    submit(&mut index, 300, &[(&tensor(1, &[256, 256], DataType::F32), Access::Overwrite)]);
    for (slot, tile) in tiles.iter().enumerate() {
        assert_eq!(submit(&mut index, slot as u32, &[(tile, Access::Update)]).producers(), [300]);
    }
    index.retire(SlotIndex(300), None);
    let before = index.compared();
    for (slot, tile) in tiles.iter().enumerate() {
        assert_eq!(submit(&mut index, 256 + slot as u32, &[(tile, Access::Update)]).producers(), [slot as u32]);
    }
    assert!((index.compared() - before) as f64 <= 1.3 * tiles.len() as f64);
}

/// A view of many tiles compares them and no others; one of everything compares each region once.
#[test]
fn a_large_view_compares_what_it_spans() {
    let tiles = tiles(1024, 32, 16, 16, 0);
    let whole = tensor(1, &[512, 512], DataType::F32);
    let mut index = large(1100);
    for (slot, tile) in tiles.iter().enumerate() {
        submit(&mut index, slot as u32, &[(tile, Access::Read)]);
    }
    for (view, span) in [
        (whole.view(&[64, 64], &[64, 128]).unwrap(), 16),
        (whole.view(&[512, 16], &[0, 48]).unwrap(), 32),
        (whole.view(&[16, 512], &[160, 0]).unwrap(), 32),
        (whole, 1024),
    ] {
        let before = index.compared();
        let list = submit(&mut index, 1050, &[(&view, Access::Read)]);
        assert!(list.found.is_empty());
        assert!(index.compared() - before <= span + 3, "{}", index.compared() - before);
        index.retire(SlotIndex(1050), None);
        let mut list = super::List::default();
        index.begin();
        index.probe(&view, Access::Overwrite, 0, &mut list);
        assert_eq!(list.producers().len(), span);
    }
}

/// Pieces of any length between one and four times the least find only their neighbours.
#[test]
fn ragged_pieces_compare_their_neighbours() {
    for count in [64u32, 2048] {
        let line = tensor(1, &[400 * count], DataType::F32);
        let mut first = 0;
        let pieces: Vec<Tensor> = (0..count)
            .map(|piece| {
                let length = 100 + piece * 7919 % 300;
                first += length;
                line.view(&[length], &[first - length]).unwrap()
            })
            .collect();
        let compared = compared(&pieces);
        assert!(compared <= 14.0, "{count} pieces: {compared}");
    }
}

/// Pieces of a thousand different sizes fit no few grids; they find only their neighbours all the same.
#[test]
fn pieces_of_every_size_compare_their_neighbours() {
    for count in [64u32, 2048] {
        let line = tensor(1, &[1000 * count], DataType::F32);
        let mut first = 0;
        let pieces: Vec<Tensor> = (0..count)
            .map(|piece| {
                let length = (1 << (piece * 7919 % 10)) + piece % 3;
                first += length;
                line.slice(0, first - length, first, 1 + piece % 2).unwrap()
            })
            .collect();
        let compared = compared(&pieces);
        assert!(compared <= 24.0, "{count} pieces: {compared}");
    }
}
