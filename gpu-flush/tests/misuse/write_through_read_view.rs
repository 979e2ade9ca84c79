// error: E0599
// A consumer's view cannot be declared written.
use prewire_gpu_flush::device::Access;
use prewire_gpu_flush::pools::Consume;

fn write(guard: &Consume) -> Access {
    guard.all().write()
}

fn main() {}
