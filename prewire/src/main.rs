//! The `prewire` program.
fn main() {}
