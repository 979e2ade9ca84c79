//! The developer commands of Prewire.
fn main() {}
