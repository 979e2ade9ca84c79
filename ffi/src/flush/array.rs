//! What an array is.

use crate::error::{Error, guard};
use crate::pointer;
use crate::status::prewire_status;
use prewire_gpu_flush::config::{AxisKind, BloscCompressor, BloscShuffle, FillValue};
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType, Dimension, Error as FlushError, ReduceMethod};
use std::ffi::c_char;

/// The type of the elements of a stored array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_flush_type {
    /// Unsigned, 8 bits.
    U8 = 0,
    /// Unsigned, 16 bits.
    U16 = 1,
    /// Unsigned, 32 bits.
    U32 = 2,
    /// Unsigned, 64 bits.
    U64 = 3,
    /// Signed, 8 bits.
    I8 = 4,
    /// Signed, 16 bits.
    I16 = 5,
    /// Signed, 32 bits.
    I32 = 6,
    /// Signed, 64 bits.
    I64 = 7,
    /// IEEE 754 binary16.
    F16 = 8,
    /// IEEE 754 binary32.
    F32 = 9,
    /// IEEE 754 binary64.
    F64 = 10,
}

/// The kind of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_flush_axis {
    /// What the name makes likely: `t` and `time` are time, `c` and `channel` are channels, all else is space.
    OfName = 0,
    /// Position in space.
    Space = 1,
    /// Time.
    Time = 2,
    /// A channel.
    Channel = 3,
}

/// What compresses the chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_flush_codec {
    /// Nothing.
    None = 0,
    /// Zstandard, level -7 to 22; 0 is the library's default.
    Zstd = 1,
    /// LZ4 as numcodecs writes it, level 1 to 12.
    Lz4 = 2,
    /// Blosc with LZ4, level 0 to 9.
    BloscLz4 = 3,
    /// Blosc with Zstandard, level 0 to 9.
    BloscZstd = 4,
}

/// How Blosc reorders bytes before it compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_flush_shuffle {
    /// Not at all.
    None = 0,
    /// By bytes.
    Byte = 1,
    /// By bits.
    Bit = 2,
}

/// How several elements become one in the pyramid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_flush_reduce {
    /// The mean.
    Mean = 0,
    /// The smallest.
    Min = 1,
    /// The largest.
    Max = 2,
    /// The middle of the sorted window.
    Median = 3,
    /// The second largest.
    MaxSuppressed = 4,
    /// The second smallest.
    MinSuppressed = 5,
}

/// What readers see where no chunk was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_flush_fill {
    /// Zero.
    Zero = 0,
    /// `fill_integer`.
    Integer = 1,
    /// `fill_float`.
    Float = 2,
}

/// One dimension in acquisition order, slowest first. All zero but `name`, `size` and `chunk` is good.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_flush_dimension {
    /// The name.
    pub name: *const c_char,
    /// Extent in elements; 0 means unbounded and is allowed for the first dimension only.
    pub size: u64,
    /// Chunk extent in elements.
    pub chunk: u64,
    /// Chunks of a shard along this dimension; 0 means all of them.
    pub chunks_per_shard: u64,
    /// 1 if the pyramid halves this dimension, else 0.
    pub downsample: u32,
    /// A `prewire_flush_axis`.
    pub axis: u32,
    /// The unit of one step, such as "micrometer"; NULL for none.
    pub unit: *const c_char,
    /// The length of one step at full resolution, in units; 0 stands for 1.
    pub scale: f64,
}

/// What an array is. Begin with `prewire_flush_array_init`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_flush_array {
    /// `sizeof(prewire_flush_array)`.
    pub size: usize,
    /// The path of the array's node inside the store; NULL or empty is the root.
    pub name: *const c_char,
    /// A `prewire_flush_type`.
    pub data_type: u32,
    /// A `prewire_flush_codec`.
    pub codec: u32,
    /// The codec's level.
    pub level: i32,
    /// A `prewire_flush_shuffle`, for Blosc.
    pub shuffle: u32,
    /// The dimensions in acquisition order, slowest first.
    pub dimensions: *const prewire_flush_dimension,
    /// How many dimensions there are.
    pub dimension_count: usize,
    /// For each dimension its position in the store, 0 slowest; NULL for the acquisition order.
    pub storage_positions: *const usize,
    /// The most pyramid levels, full resolution included; 0 leaves it to the sizes.
    pub levels_max: u32,
    /// A `prewire_flush_reduce` for inner dimensions.
    pub reduce: u32,
    /// A `prewire_flush_reduce` for the append dimension.
    pub append_reduce: u32,
    /// 1 if levels stop as soon as one dimension fits one chunk, else 0.
    pub preserve_aspect_ratio: u32,
    /// A `prewire_flush_fill`.
    pub fill: u32,
    /// 0.
    pub reserved: u32,
    /// Where `fill` says so.
    pub fill_integer: i64,
    /// Where `fill` says so.
    pub fill_float: f64,
}

const _: () = assert!(size_of::<prewire_flush_dimension>() == 56);
const _: () = assert!(size_of::<prewire_flush_array>() == 96);

/// Writes the defaults into the description of an array: no dimensions, unsigned bytes, no compression. `array` stays the caller's. Any thread may call it.
///
/// # Safety
/// `array` is NULL or points to a `prewire_flush_array` that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_array_init(array: *mut prewire_flush_array) -> prewire_status {
    guard(|| {
        let value = prewire_flush_array {
            size: size_of::<prewire_flush_array>(),
            name: std::ptr::null(),
            data_type: prewire_flush_type::U8 as u32,
            codec: prewire_flush_codec::None as u32,
            level: 0,
            shuffle: prewire_flush_shuffle::None as u32,
            dimensions: std::ptr::null(),
            dimension_count: 0,
            storage_positions: std::ptr::null(),
            levels_max: 0,
            reduce: prewire_flush_reduce::Mean as u32,
            append_reduce: prewire_flush_reduce::Mean as u32,
            preserve_aspect_ratio: 0,
            fill: prewire_flush_fill::Zero as u32,
            reserved: 0,
            fill_integer: 0,
            fill_float: 0.0,
        };
        // SAFETY: by contract.
        unsafe { pointer::put(array, "array", value) }
    })
}

/// A field that has a value which the writer does not know.
fn wrong(array: usize, field: &str, number: u32) -> Error {
    let reason = format!("{number} is none of the values that the header lists");
    FlushError::invalid_config(format!("array[{array}].{field}"), reason).into()
}

fn reduce(number: u32) -> Option<ReduceMethod> {
    ReduceMethod::ALL.get(number as usize).copied()
}

impl prewire_flush_array {
    /// The description as the writer takes it.
    ///
    /// # Safety
    /// `arrays` is NULL or points to at least `number + 1` arrays whose pointers are NULL or point to as much as they say.
    pub(crate) unsafe fn config(&self, number: usize) -> Result<ArrayConfig, Error> {
        if self.size != size_of::<Self>() {
            let text = format!(
                "array[{number}].size is {} and this library's structure has {} bytes; begin with prewire_flush_array_init, and compile against the \
                 header of the library",
                self.size,
                size_of::<Self>()
            );
            return Err(Error::argument(text));
        }
        let data_type = DataType::ALL.get(self.data_type as usize).copied();
        let mut builder = ArrayConfig::builder(data_type.ok_or_else(|| wrong(number, "data_type", self.data_type))?);
        // SAFETY: by contract.
        if let Some(name) = unsafe { pointer::optional_text(self.name, "array.name") }? {
            builder = builder.name(name);
        }
        // SAFETY: by contract.
        let dimensions = unsafe { pointer::slice(self.dimensions, self.dimension_count, "array.dimensions") }?;
        for dimension in dimensions {
            // SAFETY: by contract.
            builder = builder.dimension(unsafe { dimension.config(number) }?);
        }
        if !self.storage_positions.is_null() {
            // SAFETY: by contract there are as many as dimensions.
            let positions =
                unsafe { pointer::slice(self.storage_positions, self.dimension_count, "array.storage_positions") }?;
            builder = builder.storage_positions(positions.to_vec());
        }
        builder = builder
            .codec(self.codec(number)?)
            .levels_max(self.levels_max)
            .reduce(reduce(self.reduce).ok_or_else(|| wrong(number, "reduce", self.reduce))?)
            .append_reduce(
                reduce(self.append_reduce).ok_or_else(|| wrong(number, "append_reduce", self.append_reduce))?,
            )
            .preserve_aspect_ratio(self.preserve_aspect_ratio != 0)
            .fill_value(match self.fill {
                0 => FillValue::Zero,
                1 => FillValue::Integer(self.fill_integer),
                2 => FillValue::Float(self.fill_float),
                fill => return Err(wrong(number, "fill", fill)),
            });
        Ok(builder.build()?)
    }

    fn codec(&self, number: usize) -> Result<CodecConfig, Error> {
        let level = self.level;
        let blosc = |compressor| {
            let shuffle = match self.shuffle {
                0 => BloscShuffle::None,
                1 => BloscShuffle::Byte,
                2 => BloscShuffle::Bit,
                shuffle => return Err(wrong(number, "shuffle", shuffle)),
            };
            Ok(CodecConfig::Blosc { compressor, level, shuffle })
        };
        match self.codec {
            0 => Ok(CodecConfig::None),
            1 => Ok(CodecConfig::Zstd { level }),
            2 => Ok(CodecConfig::Lz4 { level }),
            3 => blosc(BloscCompressor::Lz4),
            4 => blosc(BloscCompressor::Zstd),
            codec => Err(wrong(number, "codec", codec)),
        }
    }
}

impl prewire_flush_dimension {
    /// # Safety
    /// The texts are NULL or texts.
    unsafe fn config(&self, array: usize) -> Result<Dimension, Error> {
        // SAFETY: by contract.
        let name = unsafe { pointer::text(self.name, "dimension.name") }?;
        let mut dimension =
            Dimension::bounded(name, self.size).chunk(self.chunk).chunks_per_shard(self.chunks_per_shard);
        dimension.downsample = self.downsample != 0;
        match self.axis {
            0 => {}
            1 => dimension.kind = AxisKind::Space,
            2 => dimension.kind = AxisKind::Time,
            3 => dimension.kind = AxisKind::Channel,
            axis => return Err(wrong(array, "dimensions.axis", axis)),
        }
        // SAFETY: by contract.
        dimension.unit = unsafe { pointer::optional_text(self.unit, "dimension.unit") }?.map(str::to_owned);
        if self.scale != 0.0 {
            dimension.scale = self.scale;
        }
        Ok(dimension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_writer() {
        let types = [
            prewire_flush_type::U8,
            prewire_flush_type::U16,
            prewire_flush_type::U32,
            prewire_flush_type::U64,
            prewire_flush_type::I8,
            prewire_flush_type::I16,
            prewire_flush_type::I32,
            prewire_flush_type::I64,
            prewire_flush_type::F16,
            prewire_flush_type::F32,
            prewire_flush_type::F64,
        ];
        assert!(types.iter().zip(DataType::ALL).all(|(ours, theirs)| format!("{ours:?}") == format!("{theirs:?}")));
        assert!(types.iter().enumerate().all(|(number, each)| *each as usize == number));
        let methods = [
            prewire_flush_reduce::Mean,
            prewire_flush_reduce::Min,
            prewire_flush_reduce::Max,
            prewire_flush_reduce::Median,
            prewire_flush_reduce::MaxSuppressed,
            prewire_flush_reduce::MinSuppressed,
        ];
        assert!(
            methods
                .iter()
                .all(|ours| reduce(*ours as u32).is_some_and(|them| format!("{them:?}") == format!("{ours:?}")))
        );
    }
}
