// error: E0505
// Giving a guard away ends its views.
use prewire_gpu_flush::pools::Produce;

fn release(guard: Produce) {
    drop(guard);
}

fn late(guard: Produce) -> u64 {
    let view = guard.all();
    release(guard);
    view.bytes()
}

fn main() {}
