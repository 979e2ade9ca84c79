//! The element types of tensors.

use std::fmt;

/// The type of a tensor's elements. The numbers are those that recorded graphs and C programs use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DataType {
    /// IEEE 754 binary32.
    F32 = 0,
    /// IEEE 754 binary16.
    F16 = 1,
    /// Signed 32-bit integer.
    I32 = 2,
    /// Signed 16-bit integer.
    I16 = 3,
    /// Signed 8-bit integer.
    I8 = 4,
    /// Unsigned 8-bit integer.
    U8 = 5,
    /// The upper half of an IEEE 754 binary32.
    BF16 = 6,
    /// Signed 64-bit integer.
    I64 = 7,
    /// Unsigned 64-bit integer.
    U64 = 8,
    /// Unsigned 16-bit integer.
    U16 = 9,
    /// Unsigned 32-bit integer.
    U32 = 10,
    /// A truth value in one byte: 0 is false, 1 is true.
    Bool = 11,
    /// 8-bit float: 4 exponent bits, 3 mantissa bits, no infinities.
    Fp8E4M3Fn = 12,
    /// 8-bit exponent-only scale.
    Fp8E8M0 = 13,
    /// 4-bit float, stored one to a byte.
    Fp4E2M1 = 14,
}

impl DataType {
    /// Every type, in the order of their numbers.
    pub const ALL: [DataType; 15] = [
        DataType::F32,
        DataType::F16,
        DataType::I32,
        DataType::I16,
        DataType::I8,
        DataType::U8,
        DataType::BF16,
        DataType::I64,
        DataType::U64,
        DataType::U16,
        DataType::U32,
        DataType::Bool,
        DataType::Fp8E4M3Fn,
        DataType::Fp8E8M0,
        DataType::Fp4E2M1,
    ];

    /// The type with this number, if there is one.
    #[inline]
    pub fn from_index(index: u8) -> Option<DataType> {
        DataType::ALL.get(usize::from(index)).copied()
    }

    /// The number of the type.
    #[inline]
    pub const fn index(self) -> u8 {
        self as u8
    }

    /// The size of one element in bytes: 1, 2, 4 or 8.
    #[inline]
    pub const fn bytes(self) -> u64 {
        match self {
            DataType::I64 | DataType::U64 => 8,
            DataType::F32 | DataType::I32 | DataType::U32 => 4,
            DataType::F16 | DataType::I16 | DataType::BF16 | DataType::U16 => 2,
            DataType::I8
            | DataType::U8
            | DataType::Bool
            | DataType::Fp8E4M3Fn
            | DataType::Fp8E8M0
            | DataType::Fp4E2M1 => 1,
        }
    }

    /// Whether the elements are integers; a truth value is not one.
    #[inline]
    pub const fn is_integer(self) -> bool {
        self.is_signed_integer() || matches!(self, DataType::U8 | DataType::U16 | DataType::U32 | DataType::U64)
    }

    /// Whether the elements are integers with a sign.
    #[inline]
    pub const fn is_signed_integer(self) -> bool {
        matches!(self, DataType::I8 | DataType::I16 | DataType::I32 | DataType::I64)
    }

    /// Whether the elements are floating-point numbers, of whatever width.
    #[inline]
    pub const fn is_float(self) -> bool {
        matches!(
            self,
            DataType::F32
                | DataType::F16
                | DataType::BF16
                | DataType::Fp8E4M3Fn
                | DataType::Fp8E8M0
                | DataType::Fp4E2M1
        )
    }

    /// The integer or truth value of this type in the first bytes of `bytes`; other types have none and give 0.
    pub fn integer(self, bytes: [u8; 8]) -> i128 {
        fn first<const N: usize>(bytes: [u8; 8]) -> [u8; N] {
            std::array::from_fn(|index| bytes[index])
        }
        match self {
            DataType::I8 => i8::from_ne_bytes(first(bytes)).into(),
            DataType::I16 => i16::from_ne_bytes(first(bytes)).into(),
            DataType::I32 => i32::from_ne_bytes(first(bytes)).into(),
            DataType::I64 => i64::from_ne_bytes(bytes).into(),
            DataType::U8 | DataType::Bool => bytes[0].into(),
            DataType::U16 => u16::from_ne_bytes(first(bytes)).into(),
            DataType::U32 => u32::from_ne_bytes(first(bytes)).into(),
            DataType::U64 => u64::from_ne_bytes(bytes).into(),
            _ => 0,
        }
    }

    /// The short lower-case name, such as `f32` or `fp8_e4m3fn`.
    pub const fn name(self) -> &'static str {
        match self {
            DataType::F32 => "f32",
            DataType::F16 => "f16",
            DataType::I32 => "i32",
            DataType::I16 => "i16",
            DataType::I8 => "i8",
            DataType::U8 => "u8",
            DataType::BF16 => "bf16",
            DataType::I64 => "i64",
            DataType::U64 => "u64",
            DataType::U16 => "u16",
            DataType::U32 => "u32",
            DataType::Bool => "bool",
            DataType::Fp8E4M3Fn => "fp8_e4m3fn",
            DataType::Fp8E8M0 => "fp8_e8m0",
            DataType::Fp4E2M1 => "fp4_e2m1",
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
