// error: E0624
// A view cannot be made from a buffer's handle, only from an acquired guard.
use prewire_gpu_flush::device::BufferId;
use prewire_gpu_flush::pools::ReadView;

fn main() {
    let _view = ReadView::new(BufferId(0), 0, 4096);
}
