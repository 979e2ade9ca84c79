// error: E0599
// A guard of one slot has no way to name another.
use prewire_gpu_flush::pools::{Produce, WriteView};

fn other(guard: &Produce) -> WriteView<'_> {
    guard.slot_view(1)
}

fn main() {}
