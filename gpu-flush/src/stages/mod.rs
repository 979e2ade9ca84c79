//! What each step does to the bytes, without any ordering.
