//! Element types that kernels of the chip know.

use prewire_runtime_core::tensor::DataType;

/// All but floating-point numbers of 8 and 4 bits.
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
];
