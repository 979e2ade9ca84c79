//! The `prewire` program: runs workloads, replays and records graphs, and says what it runs on.

mod program;
mod workloads;

fn main() -> std::process::ExitCode {
    program::main()
}
