//! Reduction and folding, as pure functions over slices.
