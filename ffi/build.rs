//! Gives the shared library its name for the dynamic linker: the one that a program asks for when it starts.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The number is PREWIRE_ABI_VERSION; a test holds the two together.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libprewire.so.1");
}
