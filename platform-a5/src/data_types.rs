//! Element types that kernels of the chip know.

use prewire_runtime_core::tensor::DataType;

/// All of them; floating-point numbers of 8 and 4 bits take a byte each.
pub(crate) const KNOWN: &[DataType] = &[
    DataType::F32,
    DataType::F16,
    DataType::BF16,
    DataType::I8,
    DataType::I16,
    DataType::I32,
    DataType::I64,
    DataType::U8,
    DataType::U16,
    DataType::U32,
    DataType::U64,
    DataType::Bool,
    DataType::Fp8E4M3Fn,
    DataType::Fp8E8M0,
    DataType::Fp4E2M1,
];
