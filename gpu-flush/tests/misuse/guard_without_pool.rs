// error: E0624
// A guard cannot be made by hand, and a pool's acquires belong to the schedule.
use prewire_gpu_flush::pools::{Pool, Produce};

fn guard(pool: &Pool) -> Produce {
    pool.acquire_unused(0).unwrap()
}

fn main() {}
