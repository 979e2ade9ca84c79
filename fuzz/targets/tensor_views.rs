//! Views of small buffers, against lists of their elements: each index leads to the right byte, and whether two views share bytes is known exactly.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use prewire_runtime_core::id::BufferId;
use prewire_runtime_core::tensor::{DataType, MAX_DIMENSIONS, Overlap, Tensor, TensorLayout};
use std::collections::BTreeSet;

const ADDRESS: u64 = 1 << 12;
const BUFFER_BYTES: u64 = 512;
const DATA_TYPES: [DataType; 4] = [DataType::U8, DataType::F16, DataType::F32, DataType::I64];

fuzz_target!(|bytes: &[u8]| {
    let mut source = Unstructured::new(bytes);
    // Bytes that run out before two views are made are no case.
    let _ = compare(&mut source);
});

fn compare(source: &mut Unstructured<'_>) -> Result<()> {
    let (Some(first), Some(second)) = (Seen::make(source)?, Seen::make(source)?) else { return Ok(()) };
    let (ours, theirs) = (first.bytes(), second.bytes());
    let (Some(a), Some(b)) = (first.tensor.region(), second.tensor.region()) else {
        assert!(ours.is_empty() || theirs.is_empty(), "no region, though there are bytes");
        return Ok(());
    };
    let share = !ours.is_disjoint(&theirs);
    assert_eq!(a.intersects(&b), share, "{first:?} and {second:?}");
    assert_eq!(b.intersects(&a), share, "{second:?} and {first:?}");
    match a.overlap(&b) {
        Overlap::Disjoint => assert!(!share, "{first:?} and {second:?}"),
        Overlap::Covers => assert!(ours.is_superset(&theirs), "{first:?} does not cover {second:?}"),
        Overlap::Partial => assert!(share, "{first:?} and {second:?}"),
    }
    Ok(())
}

/// A tensor, and the elements that it must have: their places in the buffer in the order of its indices.
#[derive(Debug)]
struct Seen {
    tensor: Tensor,
    shape: Vec<u32>,
    places: Vec<u64>,
}

impl Seen {
    /// A layout and up to four views of it; nothing where the layout is refused.
    fn make(source: &mut Unstructured<'_>) -> Result<Option<Self>> {
        let data_type = *source.choose(&DATA_TYPES)?;
        let dimensions = source.int_in_range(0..=MAX_DIMENSIONS)?;
        let shape = list(source, dimensions, |source| source.int_in_range(0..=9u32))?;
        let strides = list(source, dimensions, |source| source.int_in_range(1..=40i64))?;
        let row_major = source.arbitrary::<bool>()?;
        let start = source.int_in_range(0..=40u64)?;
        let strides = if row_major { row_major_strides(&shape) } else { strides };
        let places = places(&shape, |index| start + dot(index, &strides));
        let fits = places.iter().all(|place| (place + 1) * data_type.bytes() <= BUFFER_BYTES);
        let layout = if row_major {
            TensorLayout::row_major(&shape, data_type)
        } else {
            TensorLayout::strided(&shape, &strides, data_type)
        };
        let layout = layout.expect("five dimensions with small strides are a layout");
        let tensor = Tensor::external(ADDRESS, BUFFER_BYTES, BufferId::external(1), start, layout);
        let starts_within = start * data_type.bytes() <= BUFFER_BYTES;
        assert_eq!(tensor.is_ok(), fits && starts_within, "{shape:?} {strides:?} from {start}: {tensor:?}");
        let Ok(tensor) = tensor else { return Ok(None) };
        let mut seen = Self { tensor, shape, places };
        seen.check();
        for _ in 0..source.int_in_range(0..=4)? {
            seen.step(source)?;
            seen.check();
        }
        Ok(Some(seen))
    }

    /// One more view of what there is; a refusal has to be right, and leaves everything as it is.
    fn step(&mut self, source: &mut Unstructured<'_>) -> Result<()> {
        let dimensions = self.shape.len();
        let (made, right) = match source.int_in_range(0..=4)? {
            0 => {
                let shape = list(source, dimensions, |source| source.int_in_range(0..=9u32))?;
                let offsets = list(source, dimensions, |source| source.int_in_range(0..=5u32))?;
                let within = (0..dimensions).all(|at| shape[at] + offsets[at] <= self.shape[at]);
                let right = within.then(|| self.picked(shape.clone(), |index| sum(index, &offsets)));
                (self.tensor.view(&shape, &offsets), right)
            }
            1 => {
                let (at, step) = (source.int_in_range(0..=dimensions)?, source.int_in_range(0..=3u32)?);
                let (start, end) = (source.int_in_range(0..=9u32)?, source.int_in_range(0..=9u32)?);
                let within = at < dimensions && step > 0 && start <= end && end <= self.shape[at];
                let right = within.then(|| {
                    let mut shape = self.shape.clone();
                    shape[at] = (start..end).step_by(step as usize).count() as u32;
                    self.picked(shape, |index| {
                        let mut index = index.to_vec();
                        index[at] = start + index[at] * step;
                        index
                    })
                });
                (self.tensor.slice(at, start, end, step), right)
            }
            2 => {
                let (one, other) = (source.int_in_range(0..=dimensions)?, source.int_in_range(0..=dimensions)?);
                let right = (one < dimensions && other < dimensions).then(|| {
                    let swapped = |index: &[u32]| {
                        let mut index = index.to_vec();
                        index.swap(one, other);
                        index
                    };
                    self.picked(swapped(&self.shape), swapped)
                });
                (self.tensor.transpose(one, other), right)
            }
            3 => {
                let order = list(source, dimensions, |source| source.int_in_range(0..=dimensions))?;
                let each_once = (0..dimensions).all(|dimension| order.contains(&dimension));
                let right = each_once.then(|| {
                    let shape = order.iter().map(|&dimension| self.shape[dimension]).collect();
                    self.picked(shape, |index| {
                        let mut before = vec![0; dimensions];
                        order.iter().zip(index).for_each(|(&dimension, &value)| before[dimension] = value);
                        before
                    })
                });
                (self.tensor.permute(&order), right)
            }
            _ => {
                let dimensions = source.int_in_range(0..=MAX_DIMENSIONS)?;
                let shape = list(source, dimensions, |source| source.int_in_range(0..=9u32))?;
                let elements: u64 = shape.iter().map(|&length| u64::from(length)).product();
                let in_a_row = self.places.windows(2).all(|pair| pair[1] == pair[0] + 1);
                let right =
                    (in_a_row && elements == self.places.len() as u64).then(|| (shape.clone(), self.places.clone()));
                (self.tensor.reshape(&shape), right)
            }
        };
        assert_eq!(made.is_ok(), right.is_some(), "of {self:?}: {made:?}");
        if let (Ok(tensor), Some((shape, places))) = (made, right) {
            *self = Self { tensor, shape, places };
        }
        Ok(())
    }

    /// The shape, and the places of its indices, each found under another index of ours.
    fn picked(&self, shape: Vec<u32>, ours: impl Fn(&[u32]) -> Vec<u32>) -> (Vec<u32>, Vec<u64>) {
        let strides = row_major_strides(&self.shape);
        let places = places(&shape, |index| self.places[dot(&ours(index), &strides) as usize]);
        (shape, places)
    }

    fn check(&self) {
        assert_eq!(self.tensor.shape(), self.shape, "{self:?}");
        assert_eq!(self.tensor.elements(), self.places.len() as u64, "{self:?}");
        assert_eq!(self.tensor.is_empty(), self.places.is_empty(), "{self:?}");
        let size = self.tensor.data_type().bytes();
        let addresses = places(&self.shape, |index| self.tensor.element_address(index).expect("the index is within"));
        let right: Vec<u64> = self.places.iter().map(|place| ADDRESS + place * size).collect();
        assert_eq!(addresses, right, "{self:?}");
        if self.tensor.is_contiguous() {
            assert!(self.places.windows(2).all(|pair| pair[1] == pair[0] + 1), "not contiguous: {self:?}");
        }
    }

    fn bytes(&self) -> BTreeSet<u64> {
        let size = self.tensor.data_type().bytes();
        self.places.iter().flat_map(|place| place * size..(place + 1) * size).collect()
    }
}

/// Something for each index of a shape, in row-major order.
fn places(shape: &[u32], mut place: impl FnMut(&[u32]) -> u64) -> Vec<u64> {
    let count: u64 = shape.iter().map(|&length| u64::from(length)).product();
    let mut index = vec![0; shape.len()];
    let mut places = Vec::new();
    for _ in 0..count {
        places.push(place(&index));
        for at in (0..shape.len()).rev() {
            index[at] += 1;
            if index[at] < shape[at] {
                break;
            }
            index[at] = 0;
        }
    }
    places
}

fn row_major_strides(shape: &[u32]) -> Vec<i64> {
    (0..shape.len()).map(|at| shape[at + 1..].iter().map(|&length| i64::from(length.max(1))).product()).collect()
}

fn dot(index: &[u32], strides: &[i64]) -> u64 {
    index.iter().zip(strides).map(|(&index, &stride)| u64::from(index) * stride as u64).sum()
}

fn sum(one: &[u32], other: &[u32]) -> Vec<u32> {
    one.iter().zip(other).map(|(one, other)| one + other).collect()
}

fn list<T>(
    source: &mut Unstructured<'_>,
    count: usize,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    (0..count).map(|_| one(source)).collect()
}
