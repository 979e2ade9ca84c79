//! Rust's types for the elements of tensors.

use crate::tensor::DataType;

/// A type that tensors hold.
///
/// # Safety
/// The type has the size that [`DataType::bytes`] says and every bit pattern is a value.
pub unsafe trait Element: Copy + Send + Sync + 'static {
    /// The element type.
    const DATA_TYPE: DataType;
    /// The value in the low bits of a scalar cell.
    fn from_cell(cell: u64) -> Self;
}

macro_rules! element {
    ($($type:ty, $data_type:ident, $from:expr;)*) => {
        $(
            // SAFETY: a plain number of the stated size.
            unsafe impl Element for $type {
                const DATA_TYPE: DataType = DataType::$data_type;
                #[inline]
                fn from_cell(cell: u64) -> Self {
                    let from: fn(u64) -> $type = $from;
                    from(cell)
                }
            }
        )*
    };
}

element! {
    f32, F32, |cell| f32::from_bits(cell as u32);
    i8, I8, |cell| cell as i8;
    i16, I16, |cell| cell as i16;
    i32, I32, |cell| cell as i32;
    i64, I64, |cell| cell as i64;
    u8, U8, |cell| cell as u8;
    u16, U16, |cell| cell as u16;
    u32, U32, |cell| cell as u32;
    u64, U64, |cell| cell;
}
