//! A worker of a host runtime as a program of its own. It is started by the runtime, and its callables are library symbols.

fn main() -> std::process::ExitCode {
    prewire::host::worker_main()
}
