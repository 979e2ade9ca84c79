//! The arithmetic of one element type: how it is read, widened, averaged and ordered.

use std::cmp::Ordering;
use std::ops::AddAssign;

use half::f16;

/// An element type of an image.
pub(super) trait Element: Copy {
    /// Its little-endian bytes.
    type Bytes: Copy;
    /// Sum of a window: wide enough for 2^16 elements, and narrow enough to stay fast.
    type Sum: Copy + AddAssign;
    /// Sum along the append dimension: wide enough for 2^31 frames.
    type Total: Copy + AddAssign;
    /// The bytes of a total in an accumulator.
    type TotalBytes: Copy;

    const NO_SUM: Self::Sum;

    fn read(bytes: Self::Bytes) -> Self;
    fn write(self) -> Self::Bytes;
    fn sum(self) -> Self::Sum;
    fn total(self) -> Self::Total;
    /// The sum divided by the count, truncated toward zero for integers.
    fn mean(sum: Self::Sum, count: u32) -> Self;
    fn total_mean(total: Self::Total, count: u64) -> Self;
    fn read_total(bytes: Self::TotalBytes) -> Self::Total;
    fn write_total(total: Self::Total) -> Self::TotalBytes;
    /// The smaller; a number wins over NaN.
    fn least(self, other: Self) -> Self;
    /// The larger; a number wins over NaN.
    fn greatest(self, other: Self) -> Self;
    /// The order of the rank methods; NaN of positive sign is above everything.
    fn order(&self, other: &Self) -> Ordering;
}

macro_rules! integer {
    ($type:ty, $sum:ty, $total:ty) => {
        impl Element for $type {
            type Bytes = [u8; size_of::<$type>()];
            type Sum = $sum;
            type Total = $total;
            type TotalBytes = [u8; size_of::<$total>()];

            const NO_SUM: $sum = 0;

            fn read(bytes: Self::Bytes) -> Self {
                <$type>::from_le_bytes(bytes)
            }
            fn write(self) -> Self::Bytes {
                self.to_le_bytes()
            }
            fn sum(self) -> $sum {
                <$sum>::from(self)
            }
            fn total(self) -> $total {
                <$total>::from(self)
            }
            fn mean(sum: $sum, count: u32) -> Self {
                (sum / count as $sum) as $type
            }
            fn total_mean(total: $total, count: u64) -> Self {
                (total / count as $total) as $type
            }
            fn read_total(bytes: Self::TotalBytes) -> $total {
                <$total>::from_le_bytes(bytes)
            }
            fn write_total(total: $total) -> Self::TotalBytes {
                total.to_le_bytes()
            }
            fn least(self, other: Self) -> Self {
                self.min(other)
            }
            fn greatest(self, other: Self) -> Self {
                self.max(other)
            }
            fn order(&self, other: &Self) -> Ordering {
                self.cmp(other)
            }
        }
    };
}

integer!(u8, u32, u64);
integer!(u16, u32, u64);
integer!(u32, u64, u64);
integer!(u64, u128, u128);
integer!(i8, i32, i64);
integer!(i16, i32, i64);
integer!(i32, i64, i64);
integer!(i64, i128, i128);

/// Floating-point sums are taken in binary64 in window order, so they neither overflow nor depend on the device.
macro_rules! float {
    ($type:ty, $from:expr) => {
        impl Element for $type {
            type Bytes = [u8; size_of::<$type>()];
            type Sum = f64;
            type Total = f64;
            type TotalBytes = [u8; 8];

            const NO_SUM: f64 = 0.0;

            fn read(bytes: Self::Bytes) -> Self {
                <$type>::from_le_bytes(bytes)
            }
            fn write(self) -> Self::Bytes {
                self.to_le_bytes()
            }
            fn sum(self) -> f64 {
                f64::from(self)
            }
            fn total(self) -> f64 {
                f64::from(self)
            }
            fn mean(sum: f64, count: u32) -> Self {
                $from(sum / f64::from(count))
            }
            fn total_mean(total: f64, count: u64) -> Self {
                $from(total / count as f64)
            }
            fn read_total(bytes: Self::TotalBytes) -> f64 {
                f64::from_le_bytes(bytes)
            }
            fn write_total(total: f64) -> Self::TotalBytes {
                total.to_le_bytes()
            }
            fn least(self, other: Self) -> Self {
                self.min(other)
            }
            fn greatest(self, other: Self) -> Self {
                self.max(other)
            }
            fn order(&self, other: &Self) -> Ordering {
                self.total_cmp(other)
            }
        }
    };
}

float!(f16, f16::from_f64);
float!(f32, |value| value as f32);
float!(f64, |value| value);
