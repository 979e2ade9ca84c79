//! Runs graphs of tasks on accelerators: dependencies inferred, wired before a task becomes visible.

pub mod graph_format;
