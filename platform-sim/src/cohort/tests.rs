//! Barriers and pipes, and how waits end.
