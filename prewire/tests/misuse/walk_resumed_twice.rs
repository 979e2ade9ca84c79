//! A walk of consumers that was put aside is gone on with once: each consumer is released once.

use prewire_runtime_core::consumers::PausedWalk;
use prewire_runtime_core::edge::EdgeTable;

fn go_on(walk: PausedWalk, edges: &EdgeTable) {
    // SAFETY: the graph has one table of edges.
    let first = unsafe { walk.resume(edges) };
    // SAFETY: as above.
    let second = unsafe { walk.resume(edges) };
    drop((first, second));
}

fn main() {
    let _ = go_on;
}
