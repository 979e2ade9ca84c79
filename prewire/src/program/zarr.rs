//! `prewire zarr`: the writer of `gpu-flush` on files and pipes. Its options are its own affair.

use super::exit::Failure;
use super::output::Output;
use std::ffi::OsString;

pub(super) fn execute(arguments: Vec<OsString>, output: &mut Output) -> Result<(), Failure> {
    Ok(prewire_gpu_flush::program::run(arguments, output)?)
}
