//! Allocation, ranges, and what lost kernels and missing coherence do to them.

use super::*;
