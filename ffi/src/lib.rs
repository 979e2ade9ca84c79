//! Prewire for C and C++: what `include/prewire.h` declares.
//!
//! Nothing here decides anything. Each function checks what it was given, converts it, calls `prewire` or `prewire-gpu-flush`, and turns what comes
//! back, a panic included, into a status. The header is made from these sources by `cargo xtask header`: what a function's documentation says here
//! is what the header says.
//!
//! Names are those of the header, so that the two can be read side by side.
#![allow(non_camel_case_types)]

pub mod buffer;
pub mod config;
mod convert;
pub mod error;
pub mod flush;
mod frame;
mod handle;
pub mod kernel;
pub mod log;
mod pointer;
pub mod registration;
pub mod replay;
pub mod report;
pub mod run;
pub mod runtime;
pub mod status;
pub mod submission;
mod submit;
pub mod task;
pub mod tensor;
pub mod trace;
pub mod version;
