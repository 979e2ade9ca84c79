//! What a submit through C costs above the same submit from Rust.
fn main() {}
