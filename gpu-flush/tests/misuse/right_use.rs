// compiles
// The control: what a guard does allow.
use prewire_gpu_flush::device::Access;
use prewire_gpu_flush::pools::{Consume, Produce};

fn produce(guard: &Produce) -> Access {
    guard.all().slice(0..guard.all().bytes()).write()
}

fn consume(guard: &Consume) -> Access {
    guard.all().read()
}

fn main() {
    let _uses = (produce as fn(&Produce) -> Access, consume as fn(&Consume) -> Access);
}
