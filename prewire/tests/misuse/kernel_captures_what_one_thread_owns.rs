//! A kernel runs on whichever thread plays its core.

use prewire::Kernel;
use std::cell::Cell;
use std::rc::Rc;

fn main() {
    let count = Rc::new(Cell::new(0));
    let _ = Kernel::vector("counts", move |_| {
        count.set(count.get() + 1);
        Ok(())
    });
}
