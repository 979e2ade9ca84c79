//! When batches are kicked and drained: three shapes, one rule that chooses.
