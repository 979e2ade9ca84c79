//! What one argument costs in the dependency index: look-up, entry and retirement, in nanoseconds, for growing numbers of live tiles of
//! one buffer. `cargo run --release -p prewire-orchestrator --example index_cost [TILING]`.
//!
//! The index is private to the orchestrator, so this example compiles it from its source.

#![allow(missing_docs, reason = "the included module documents itself")]

#[allow(dead_code, unused_imports, unreachable_pub, reason = "the example uses a part of the module")]
#[path = "../src/index/mod.rs"]
mod index;

use index::{Access, Findings, Found, Hazards, Index, IndexOptions};
use prewire_runtime_core::id::{BufferId, SlotIndex};
use prewire_runtime_core::tensor::{DataType, Tensor, TensorError, TensorLayout};
use std::hint::black_box;
use std::time::Instant;

const OPERATIONS: usize = 50_000;
const ROUNDS: usize = 41;
const LIVE: [usize; 4] = [16, 256, 4096, 16_384];

/// Counts what is found, so that nothing is optimised away.
#[derive(Default)]
struct Count {
    found: u64,
}

impl Findings for Count {
    #[inline]
    fn found(&mut self, found: Found) {
        self.found += 1 + u64::from(found.data);
    }

    fn failed(&mut self, cause: u64, _argument: usize) {
        self.found += cause;
    }
}

/// `count` tiles of one buffer of `buffer`'s number.
type Tiling = fn(count: usize) -> Result<Vec<Tensor>, TensorError>;

fn matrix(rows: u32, columns: u32) -> Result<Tensor, TensorError> {
    let layout = TensorLayout::row_major(&[rows, columns], DataType::F32)?;
    Tensor::external(0x1000_0000, layout.bytes(), BufferId::external(1), 0, layout)
}

fn pieces(count: usize) -> Result<Vec<Tensor>, TensorError> {
    let whole = matrix(1, 256 * count as u32)?.reshape(&[256 * count as u32])?;
    (0..count as u32).map(|piece| whole.view(&[256], &[256 * piece])).collect()
}

/// Square tiles with a side of `side` elements.
fn squares(count: usize, side: u32) -> Result<Vec<Tensor>, TensorError> {
    let across = 1u32 << (count.ilog2() / 2);
    let down = count as u32 / across;
    let whole = matrix(down * side, across * side)?;
    (0..count as u32).map(|tile| whole.view(&[side, side], &[tile / across * side, tile % across * side])).collect()
}

fn square_tiles(count: usize) -> Result<Vec<Tensor>, TensorError> {
    squares(count, 16)
}

fn odd_tiles(count: usize) -> Result<Vec<Tensor>, TensorError> {
    squares(count, 13)
}

fn column_strips(count: usize) -> Result<Vec<Tensor>, TensorError> {
    let whole = matrix(64, 8 * count as u32)?;
    (0..count as u32).map(|strip| whole.view(&[64, 8], &[0, 8 * strip])).collect()
}

fn halo_tiles(count: usize) -> Result<Vec<Tensor>, TensorError> {
    let across = 1u32 << (count.ilog2() / 2);
    let down = count as u32 / across;
    let whole = matrix(down * 16 + 2, across * 16 + 2)?;
    (0..count as u32).map(|tile| whole.view(&[18, 18], &[tile / across * 16, tile % across * 16])).collect()
}

/// Rows of 15 square tiles, each followed by a view of the whole row.
fn tiles_and_panels(count: usize) -> Result<Vec<Tensor>, TensorError> {
    let whole = matrix(count as u32, 15 * 16)?;
    (0..count as u32)
        .map(|place| match (place / 16 * 16, place % 16) {
            (row, 15) => whole.view(&[16, 15 * 16], &[row, 0]),
            (row, column) => whole.view(&[16, 16], &[row, column * 16]),
        })
        .collect()
}

fn separate_buffers(count: usize) -> Result<Vec<Tensor>, TensorError> {
    let layout = TensorLayout::row_major(&[16, 16], DataType::F32)?;
    (0..count as u64)
        .map(|buffer| Tensor::external(0x1000 * (1 + buffer), layout.bytes(), BufferId::external(buffer), 0, layout))
        .collect()
}

/// Tasks that update the tiles in turn, retired `window` tasks later. With a window as long as the list, a task finds its tile's entry
/// gone and makes a new one; with one task more it finds it there. Gives the median and the least of the rounds.
fn cost_ns(tiles: &[Tensor], window: usize) -> (f64, f64) {
    let slots = window + 1;
    let mut index =
        Index::new(&IndexOptions { entries: 65_536, touches: 65_536, slots, arguments: 32, hazards: Hazards::All });
    let mut count = Count::default();
    let mut rounds = [0.0; ROUNDS];
    let mut task = 0usize;
    let (mut tile, mut slot, mut oldest) = (0, 0, 0);
    for round in &mut rounds {
        let start = Instant::now();
        for _ in 0..OPERATIONS {
            if task >= window {
                index.retire(SlotIndex(oldest as u32), None);
                oldest = if oldest + 1 == slots { 0 } else { oldest + 1 };
            }
            index.begin();
            index.probe(&tiles[tile], Access::Update, 0, &mut count);
            index.commit(SlotIndex(slot as u32));
            task += 1;
            tile = if tile + 1 == tiles.len() { 0 } else { tile + 1 };
            slot = if slot + 1 == slots { 0 } else { slot + 1 };
        }
        *round = start.elapsed().as_nanos() as f64 / OPERATIONS as f64;
    }
    black_box(count.found);
    rounds.sort_by(f64::total_cmp);
    (rounds[ROUNDS / 2], rounds[0])
}

fn main() -> Result<(), TensorError> {
    let tilings: [(&str, Tiling); 7] = [
        ("contiguous pieces", pieces),
        ("square tiles 16", square_tiles),
        ("square tiles 13", odd_tiles),
        ("column strips", column_strips),
        ("halo tiles", halo_tiles),
        ("tiles and panels", tiles_and_panels),
        ("separate buffers", separate_buffers),
    ];
    let only = std::env::args().nth(1);
    println!(
        "ns per update of one tile (look-up, entry, retirement), median (least) of {ROUNDS} rounds of {OPERATIONS}"
    );
    println!("{:<20}{:<8}{}", "tiling", "tile is", LIVE.map(|live| format!("{live:>15}")).concat());
    for (name, tiling) in tilings.into_iter().filter(|(name, _)| only.as_deref().is_none_or(|only| *name == only)) {
        for (state, longer) in [("known", 1), ("new", 0)] {
            let mut line = String::new();
            for live in LIVE {
                let tiles = tiling(live)?;
                let (median, least) = cost_ns(&tiles, live - 1 + 2 * longer);
                line += &format!("{:>15}", format!("{median:.1} ({least:.1})"));
            }
            println!("{name:<20}{state:<8}{line}");
        }
    }
    Ok(())
}
