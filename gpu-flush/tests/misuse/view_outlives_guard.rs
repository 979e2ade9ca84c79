// error: E0515
// A view lives no longer than its guard.
use prewire_gpu_flush::pools::{Consume, ReadView};

fn keep(guard: Consume) -> ReadView<'static> {
    guard.all()
}

fn main() {}
