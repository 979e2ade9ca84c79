//! Writes a `.npy` file, raw elements or a pipe as a sharded Zarr v3 store; `--help` lists the options.

use std::process::ExitCode;

fn main() -> ExitCode {
    match prewire_gpu_flush::program::run(std::env::args_os().skip(1), &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zarr: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
