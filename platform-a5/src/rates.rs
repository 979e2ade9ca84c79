//! How much a core does per nanosecond, from what its maker says about the chip.
//!
//! Huawei Connect 2025 gave 1 PFLOPS with 8-bit floating-point inputs and 1.6 TB/s of memory bandwidth for the Ascend 950PR. Half the first with 16-bit
//! inputs is 500 TFLOPS, two operations to a multiply-add, over 36 cube cores. Nothing is published about its vector cores' width and clock; the
//! Ascend C documentation gives 256 bytes per cycle for the cores before, here at 1.8 GHz.

use prewire_runtime_core::chip::Rates;

/// The rates of one core.
pub(crate) const RATES: Rates = Rates {
    cube_multiply_adds_per_ns: 500e3 / 2.0 / 36.0,
    vector_operations_per_ns: 256.0 / 4.0 * 1.8,
    memory_bytes_per_ns: 1600.0 / 108.0,
};
