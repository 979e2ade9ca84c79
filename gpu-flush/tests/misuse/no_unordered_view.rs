// error: E0599
// There is no view by slot and offset without an order.
use prewire_gpu_flush::pools::{Pool, WriteView};

fn at(pool: &Pool) -> WriteView<'_> {
    pool.at(0, 64)
}

fn main() {}
