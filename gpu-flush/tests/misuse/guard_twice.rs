// error: E0382
// A guard is one right; using it moves it.
use prewire_gpu_flush::pools::Produce;

fn twice(guard: Produce) -> (Produce, Produce) {
    (guard, guard)
}

fn main() {}
