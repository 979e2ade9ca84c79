//! From bytes and a data type to the typed loops.

use half::f16;

use super::element::Element;
use super::fold::{emit_mean, fold_extreme, fold_sum};
use super::rank::by_rank;
use super::window::{Row, Windows};
use crate::config::ReduceMethod;
use crate::dtype::DataType;

/// Results computed together, so that their sums stay in registers or the first cache.
const BLOCK: usize = 64;

/// Calls `$body` with `$type` as the element type of `$dtype` and `$size` as its bytes.
macro_rules! with_element {
    ($dtype:expr, $type:ident => $body:expr) => {
        match $dtype {
            DataType::U8 => {
                type $type = u8;
                $body
            }
            DataType::U16 => {
                type $type = u16;
                $body
            }
            DataType::U32 => {
                type $type = u32;
                $body
            }
            DataType::U64 => {
                type $type = u64;
                $body
            }
            DataType::I8 => {
                type $type = i8;
                $body
            }
            DataType::I16 => {
                type $type = i16;
                $body
            }
            DataType::I32 => {
                type $type = i32;
                $body
            }
            DataType::I64 => {
                type $type = i64;
                $body
            }
            DataType::F16 => {
                type $type = f16;
                $body
            }
            DataType::F32 => {
                type $type = f32;
                $body
            }
            DataType::F64 => {
                type $type = f64;
                $body
            }
        }
    };
}

/// The bytes of an image as whole elements.
fn elements<const N: usize>(bytes: &[u8]) -> &[[u8; N]] {
    let (elements, rest) = bytes.as_chunks();
    assert!(rest.is_empty(), "{} B are no whole elements of {N} B", bytes.len());
    elements
}

fn elements_mut<const N: usize>(bytes: &mut [u8]) -> &mut [[u8; N]] {
    let length = bytes.len();
    let (elements, rest) = bytes.as_chunks_mut();
    assert!(rest.is_empty(), "{length} B are no whole elements of {N} B");
    elements
}

/// Reduces an image: each dimension of `result_extents` is that of `source_extents` or half of it, rounded up. Windows at a border
/// hold only the elements that exist.
///
/// # Panics
///
/// When the extents do not fit each other or the slices.
pub fn reduce(
    dtype: DataType,
    method: ReduceMethod,
    source: &[u8],
    source_extents: &[u64],
    result: &mut [u8],
    result_extents: &[u64],
) {
    let windows = Windows::new(source_extents, result_extents);
    let length = |extents: &[u64]| extents.iter().product::<u64>() as usize * dtype.size_bytes();
    assert_eq!(source.len(), length(source_extents), "the source's bytes");
    assert_eq!(result.len(), length(result_extents), "the result's bytes");
    with_element!(dtype, T => {
        let (source, result) = (elements::<{ size_of::<T>() }>(source), elements_mut::<{ size_of::<T>() }>(result));
        match method {
            ReduceMethod::Mean => {
                let laned = Windows::with_lanes(source_extents, result_extents);
                match laned.lanes() {
                    2 => reduce_mean_lanes::<T, 2>(&laned, source, result),
                    3 => reduce_mean_lanes::<T, 3>(&laned, source, result),
                    4 => reduce_mean_lanes::<T, 4>(&laned, source, result),
                    _ => reduce_mean::<T>(&windows, source, result),
                }
            }
            ReduceMethod::Min => reduce_extreme::<T>(&windows, source, result, T::least),
            ReduceMethod::Max => reduce_extreme::<T>(&windows, source, result, T::greatest),
            _ => reduce_by_rank::<T>(method, &windows, source, result),
        }
    });
}

fn reduce_mean<T: Element>(windows: &Windows<'_>, source: &[T::Bytes], result: &mut [T::Bytes]) {
    let (width, source_width, halved) = windows.row_shape();
    windows.for_each_row(|Row { result: row, sources }| {
        for start in (0..width).step_by(BLOCK) {
            let count = BLOCK.min(width - start);
            let mut sums = [T::NO_SUM; BLOCK];
            for &from in sources {
                let line = &source[from..from + source_width];
                if halved {
                    let (pairs, last) = line[2 * start..].as_chunks::<2>();
                    for (sum, pair) in sums[..count].iter_mut().zip(pairs) {
                        *sum += T::read(pair[0]).sum();
                        *sum += T::read(pair[1]).sum();
                    }
                    if pairs.len() < count {
                        sums[count - 1] += T::read(last[0]).sum();
                    }
                } else {
                    for (sum, &value) in sums[..count].iter_mut().zip(&line[start..]) {
                        *sum += T::read(value).sum();
                    }
                }
            }
            // Only the last window of a row of odd width is narrower than the others.
            let narrow = halved && start + count == width && source_width % 2 == 1;
            let wide = count - usize::from(narrow);
            let per_window = sources.len() as u32 * (1 + u32::from(halved));
            let results = &mut result[row + start..row + start + count];
            divide::<T>(&sums[..wide], per_window, &mut results[..wide]);
            if narrow {
                divide::<T>(&sums[wide..count], sources.len() as u32, &mut results[wide..]);
            }
        }
    });
}

/// As [`reduce_mean`] for rows of groups of `L` elements that are averaged apart, such as the channels of a pixel.
fn reduce_mean_lanes<T: Element, const L: usize>(windows: &Windows<'_>, source: &[T::Bytes], result: &mut [T::Bytes]) {
    const GROUPS: usize = 32;
    let (width, source_width, _) = windows.row_shape();
    let groups = width / L;
    windows.for_each_row(|Row { result: row, sources }| {
        for start in (0..groups).step_by(GROUPS) {
            let count = GROUPS.min(groups - start);
            let mut sums = [[T::NO_SUM; L]; GROUPS];
            for &from in sources {
                let (line, _) = source[from + 2 * start * L..from + source_width].as_chunks::<L>();
                let (pairs, last) = line.as_chunks::<2>();
                for (sum, [first, second]) in sums[..count].iter_mut().zip(pairs) {
                    for lane in 0..L {
                        sum[lane] += T::read(first[lane]).sum();
                        sum[lane] += T::read(second[lane]).sum();
                    }
                }
                if pairs.len() < count {
                    for lane in 0..L {
                        sums[count - 1][lane] += T::read(last[0][lane]).sum();
                    }
                }
            }
            let narrow = start + count == groups && (source_width / L) % 2 == 1;
            let wide = (count - usize::from(narrow)) * L;
            let sums = &sums.as_flattened()[..count * L];
            let results = &mut result[row + start * L..row + (start + count) * L];
            divide::<T>(&sums[..wide], sources.len() as u32 * 2, &mut results[..wide]);
            if narrow {
                divide::<T>(&sums[wide..], sources.len() as u32, &mut results[wide..]);
            }
        }
    });
}

/// Divides by the count of a window. The usual counts are constants, for which the compiler needs no division.
fn divide<T: Element>(sums: &[T::Sum], count: u32, results: &mut [T::Bytes]) {
    fn by<T: Element>(sums: &[T::Sum], results: &mut [T::Bytes], mean: impl Fn(T::Sum) -> T) {
        for (result, &sum) in results.iter_mut().zip(sums) {
            *result = mean(sum).write();
        }
    }
    match count {
        1 => by::<T>(sums, results, |sum| T::mean(sum, 1)),
        2 => by::<T>(sums, results, |sum| T::mean(sum, 2)),
        4 => by::<T>(sums, results, |sum| T::mean(sum, 4)),
        8 => by::<T>(sums, results, |sum| T::mean(sum, 8)),
        16 => by::<T>(sums, results, |sum| T::mean(sum, 16)),
        _ => by::<T>(sums, results, |sum| T::mean(sum, count)),
    }
}

fn reduce_extreme<T: Element>(
    windows: &Windows<'_>,
    source: &[T::Bytes],
    result: &mut [T::Bytes],
    choose: impl Fn(T, T) -> T + Copy,
) {
    let (width, source_width, halved) = windows.row_shape();
    windows.for_each_row(|Row { result: row, sources }| {
        let results = &mut result[row..row + width];
        for (index, &from) in sources.iter().enumerate() {
            let line = &source[from..from + source_width];
            let fold = |old: T::Bytes, new: T| if index == 0 { new } else { choose(T::read(old), new) }.write();
            if halved {
                let (pairs, last) = line.as_chunks::<2>();
                for (result, pair) in results.iter_mut().zip(pairs) {
                    *result = fold(*result, choose(T::read(pair[0]), T::read(pair[1])));
                }
                if let [last] = last {
                    results[width - 1] = fold(results[width - 1], T::read(*last));
                }
            } else {
                for (result, &value) in results.iter_mut().zip(line) {
                    *result = fold(*result, T::read(value));
                }
            }
        }
    });
}

fn reduce_by_rank<T: Element>(
    method: ReduceMethod,
    windows: &Windows<'_>,
    source: &[T::Bytes],
    result: &mut [T::Bytes],
) {
    let (width, source_width, halved) = windows.row_shape();
    let mut window: Vec<T> = Vec::new();
    windows.for_each_row(|Row { result: row, sources }| {
        for column in 0..width {
            let columns = if halved { 2 * column..(2 * column + 2).min(source_width) } else { column..column + 1 };
            window.clear();
            window.extend(
                sources
                    .iter()
                    .flat_map(|from| &source[from + columns.start..from + columns.end])
                    .map(|&value| T::read(value)),
            );
            result[row + column] = by_rank(method, &mut window).write();
        }
    });
}

/// How the frames of one level fold along the append dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldShape {
    /// The element type.
    pub dtype: DataType,
    /// Mean, min or max.
    pub method: ReduceMethod,
    /// Elements of one frame of the level.
    pub frame_elements: u64,
    /// Frames of an epoch: the append dimension's chunk extent.
    pub epoch_frames: u64,
    /// Frames of level 0 that become one frame of this level: 2^level.
    pub period: u64,
}

impl FoldShape {
    /// Bytes of the level's accumulators: one epoch of frames.
    #[must_use]
    pub fn bytes(&self) -> usize {
        (self.frame_elements * self.epoch_frames) as usize * accumulator_bytes(self.dtype, self.method)
    }
}

/// Bytes of one accumulator: the element itself for min and max, a widened sum for the mean.
#[must_use]
pub fn accumulator_bytes(dtype: DataType, method: ReduceMethod) -> usize {
    match method {
        ReduceMethod::Mean => with_element!(dtype, T => size_of::<<T as Element>::Total>()),
        _ => dtype.size_bytes(),
    }
}

/// Takes `frames` frames, the first of which is number `first_frame` since the start of the array, into the accumulators.
/// `image` holds the level's frames of one epoch; only the first `frames` of them are read.
///
/// # Panics
///
/// When the method does not fold or the slices are too short.
pub fn fold_frames(shape: &FoldShape, first_frame: u64, frames: u64, image: &[u8], accumulators: &mut [u8]) {
    let accumulator = shape.frame_elements as usize * accumulator_bytes(shape.dtype, shape.method);
    let frame = shape.frame_elements as usize * shape.dtype.size_bytes();
    for index in 0..frames {
        let number = first_frame + index;
        let slot = (number / shape.period % shape.epoch_frames) as usize;
        let first = number.is_multiple_of(shape.period);
        let values = &image[index as usize * frame..][..frame];
        let into = &mut accumulators[slot * accumulator..][..accumulator];
        with_element!(shape.dtype, T => match shape.method {
            ReduceMethod::Mean => fold_sum::<T>(first, elements_mut::<{ size_of::<<T as Element>::Total>() }>(into), elements::<{ size_of::<T>() }>(values)),
            ReduceMethod::Min | ReduceMethod::Max => {
                fold_extreme::<T>(shape.method, first, elements_mut::<{ size_of::<T>() }>(into), elements::<{ size_of::<T>() }>(values));
            }
            method => unreachable!("{method} does not fold"),
        });
    }
}

/// Writes the level's epoch that frame number `total_frames - 1` belongs to: complete frames, a last one of as many as came, and zeros.
///
/// # Panics
///
/// When `total_frames` is 0, the method does not fold or the slices are too short.
pub fn emit_frames(shape: &FoldShape, total_frames: u64, accumulators: &[u8], image: &mut [u8]) {
    let accumulator = shape.frame_elements as usize * accumulator_bytes(shape.dtype, shape.method);
    let frame = shape.frame_elements as usize * shape.dtype.size_bytes();
    let epoch = (total_frames - 1) / (shape.period * shape.epoch_frames);
    for slot in 0..shape.epoch_frames {
        let first = (epoch * shape.epoch_frames + slot) * shape.period;
        let count = total_frames.saturating_sub(first).min(shape.period);
        let values = &mut image[slot as usize * frame..][..frame];
        let from = &accumulators[slot as usize * accumulator..][..accumulator];
        match shape.method {
            _ if count == 0 => values.fill(0),
            ReduceMethod::Mean => with_element!(shape.dtype, T => {
                emit_mean::<T>(count, elements::<{ size_of::<<T as Element>::Total>() }>(from), elements_mut::<{ size_of::<T>() }>(values));
            }),
            ReduceMethod::Min | ReduceMethod::Max => values.copy_from_slice(from),
            method => unreachable!("{method} does not fold"),
        }
    }
}
