//! The element types a Zarr array can hold here, with their Zarr and NumPy names.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// The type of one array element. All are stored little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// IEEE 754 binary16.
    F16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl DataType {
    /// Every data type, in the order of their definition.
    pub const ALL: [DataType; 11] = [
        DataType::U8,
        DataType::U16,
        DataType::U32,
        DataType::U64,
        DataType::I8,
        DataType::I16,
        DataType::I32,
        DataType::I64,
        DataType::F16,
        DataType::F32,
        DataType::F64,
    ];

    /// Bytes of one element: 1, 2, 4 or 8.
    #[must_use]
    pub const fn size_bytes(self) -> usize {
        match self {
            DataType::U8 | DataType::I8 => 1,
            DataType::U16 | DataType::I16 | DataType::F16 => 2,
            DataType::U32 | DataType::I32 | DataType::F32 => 4,
            DataType::U64 | DataType::I64 | DataType::F64 => 8,
        }
    }

    /// The `data_type` name of the Zarr v3 core specification, for example `uint16`.
    #[must_use]
    pub const fn zarr_name(self) -> &'static str {
        match self {
            DataType::U8 => "uint8",
            DataType::U16 => "uint16",
            DataType::U32 => "uint32",
            DataType::U64 => "uint64",
            DataType::I8 => "int8",
            DataType::I16 => "int16",
            DataType::I32 => "int32",
            DataType::I64 => "int64",
            DataType::F16 => "float16",
            DataType::F32 => "float32",
            DataType::F64 => "float64",
        }
    }

    /// The NumPy array-interface code without byte order, for example `u2`.
    #[must_use]
    pub const fn numpy_code(self) -> &'static str {
        match self {
            DataType::U8 => "u1",
            DataType::U16 => "u2",
            DataType::U32 => "u4",
            DataType::U64 => "u8",
            DataType::I8 => "i1",
            DataType::I16 => "i2",
            DataType::I32 => "i4",
            DataType::I64 => "i8",
            DataType::F16 => "f2",
            DataType::F32 => "f4",
            DataType::F64 => "f8",
        }
    }

    /// Whether the type is a floating-point type.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, DataType::F16 | DataType::F32 | DataType::F64)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.zarr_name())
    }
}

impl FromStr for DataType {
    type Err = Error;

    /// Accepts the Zarr name (`uint16`), the NumPy code (`u2`, `<u2`) and the Rust spelling (`u16`).
    /// The letter and digit `u8` mean Rust's 8 bits; write `<u8` for NumPy's 8 bytes.
    fn from_str(text: &str) -> Result<Self, Error> {
        let rust = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f16", "f32", "f64"];
        if let Some(index) = rust.iter().position(|name| *name == text) {
            return Ok(DataType::ALL[index]);
        }
        let code = text.strip_prefix(['<', '|', '=']).unwrap_or(text);
        DataType::ALL.into_iter().find(|dtype| dtype.zarr_name() == text || dtype.numpy_code() == code).ok_or_else(
            || {
                let names: Vec<_> = DataType::ALL.iter().map(|dtype| dtype.zarr_name()).collect();
                Error::invalid_config(
                    "dtype",
                    format!("{text:?} is not a supported data type; use one of {}", names.join(", ")),
                )
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_parses_to_its_type() {
        for dtype in DataType::ALL {
            assert_eq!(dtype.zarr_name().parse::<DataType>().unwrap(), dtype);
            assert_eq!(format!("<{}", dtype.numpy_code()).parse::<DataType>().unwrap(), dtype);
        }
        assert_eq!("u8".parse::<DataType>().unwrap(), DataType::U8);
        assert_eq!("<u8".parse::<DataType>().unwrap(), DataType::U64);
        let error = "complex64".parse::<DataType>().unwrap_err().to_string();
        assert!(error.contains("complex64") && error.contains("uint16"), "{error}");
    }
}
