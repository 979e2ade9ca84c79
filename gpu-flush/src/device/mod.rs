//! Streams, events, buffers and counters of an accelerator.
