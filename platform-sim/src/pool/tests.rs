//! Threads as needed.
