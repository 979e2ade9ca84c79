//! How much a core does per nanosecond, from what its maker says about the chip.
//!
//! The cube core does 16 × 16 × 16 multiply-adds per cycle with 16-bit inputs (Liao et al., "Ascend: a scalable and unified architecture for
//! ubiquitous deep neural network computing", HPCA 2021), a vector core 256 bytes per cycle (Ascend C documentation). A clock of 1.8 GHz and a memory
//! bandwidth of 1.6 TB/s, shared by all cores, are commonly given for the Ascend 910B.

use prewire_runtime_core::chip::Rates;

/// The rates of one core.
pub(crate) const RATES: Rates = Rates {
    cube_multiply_adds_per_ns: 4096.0 * 1.8,
    vector_operations_per_ns: 256.0 / 4.0 * 1.8,
    memory_bytes_per_ns: 1600.0 / 72.0,
};
