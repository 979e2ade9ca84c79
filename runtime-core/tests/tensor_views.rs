//! Descriptors and views: what they describe, and what is refused.

use prewire_runtime_core::id::{BufferId, TaskId};
use prewire_runtime_core::tensor::{
    ArgumentTag, DataType, MAX_BUFFER_BYTES, MAX_DIMENSIONS, Tensor, TensorArgument, TensorError, TensorLayout,
};
use proptest::prelude::*;

fn tensor(shape: &[u32], data_type: DataType) -> Tensor {
    let layout = TensorLayout::row_major(shape, data_type).unwrap();
    Tensor::external(0x1000, layout.bytes(), BufferId::external(3), 0, layout).unwrap()
}

/// The element numbers that a tensor names, in its own row-major order.
fn elements(tensor: &Tensor) -> Vec<u64> {
    let mut elements = vec![tensor.start()];
    for (&length, &stride) in tensor.shape().iter().zip(tensor.strides()) {
        elements = elements
            .iter()
            .flat_map(|&first| (0..u64::from(length)).map(move |index| first + index * u64::from(stride)))
            .collect();
    }
    elements
}

/// A box of a row-major matrix starts where its corner is and keeps the strides of the matrix.
#[test]
fn a_view_keeps_the_strides_and_moves_the_start() {
    let parent = tensor(&[4, 8], DataType::F32);
    let view = parent.view(&[2, 3], &[1, 2]).unwrap();
    assert_eq!((view.start(), view.strides(), view.extent()), (10, &[8, 1][..], 11));
    assert_eq!(view.element_address(&[1, 2]).unwrap(), parent.element_address(&[2, 4]).unwrap());
    assert_eq!((view.buffer(), view.owner(), view.scope()), (parent.buffer(), parent.owner(), parent.scope()));
    assert!(!view.is_contiguous() && parent.is_contiguous());
}

/// A slice multiplies the stride; slicing a slice multiplies again.
#[test]
fn a_slice_multiplies_the_stride() {
    let parent = tensor(&[4, 8], DataType::F32);
    let slice = parent.slice(1, 1, 8, 3).unwrap();
    assert_eq!((slice.shape(), slice.strides()), (&[4, 3][..], &[8, 3][..]));
    assert_eq!(elements(&slice)[..3], [1, 4, 7]);
    let again = slice.slice(1, 0, 3, 2).unwrap();
    assert_eq!((again.shape(), again.strides()), (&[4, 2][..], &[8, 6][..]));
    assert_eq!(elements(&again)[..2], [1, 7]);
}

/// Each of the 120 orders of five dimensions names the elements that index arithmetic predicts.
#[test]
fn every_permutation_of_five_dimensions_names_the_right_elements() {
    let parent = tensor(&[3, 4, 5, 6, 7], DataType::I32);
    let natural = [0usize, 1, 2, 3, 4];
    let mut orders = vec![vec![]];
    for _ in 0..MAX_DIMENSIONS {
        orders = orders
            .iter()
            .flat_map(|order: &Vec<usize>| {
                let rest = natural.into_iter().filter(|dimension| !order.contains(dimension));
                rest.map(|dimension| [order.clone(), vec![dimension]].concat()).collect::<Vec<_>>()
            })
            .collect();
    }
    assert_eq!(orders.len(), 120);
    // Miri takes its time with 2520 elements.
    for order in orders.into_iter().step_by(if cfg!(miri) { 60 } else { 1 }) {
        let permuted = parent.permute(&order).unwrap();
        let mut expected = vec![0u64];
        for &dimension in &order {
            let stride: u64 = parent.shape()[dimension + 1..].iter().map(|&length| u64::from(length)).product();
            let length = u64::from(parent.shape()[dimension]);
            expected = expected.iter().flat_map(|&first| (0..length).map(move |at| first + at * stride)).collect();
        }
        assert_eq!(elements(&permuted), expected, "{order:?}");
    }
    assert_eq!(parent.transpose(1, 3).unwrap().transpose(3, 1).unwrap(), parent);
}

/// A contiguous tensor takes any shape with as many elements, a box that is contiguous by chance too.
#[test]
fn a_contiguous_tensor_reshapes_without_a_copy() {
    let parent = tensor(&[4, 8], DataType::F32);
    for shape in [&[8, 4][..], &[2, 2, 8], &[32], &[1, 32, 1]] {
        assert_eq!(elements(&parent.reshape(shape).unwrap()), (0..32).collect::<Vec<_>>());
    }
    let rows = parent.view(&[2, 8], &[1, 0]).unwrap();
    assert_eq!(elements(&rows.reshape(&[4, 4]).unwrap()), (8..24).collect::<Vec<_>>());
    assert!(parent.view(&[1, 8], &[2, 0]).unwrap().transpose(0, 1).unwrap().is_contiguous());
}

/// Each mistake is an error that names the dimension or count and the bound.
#[test]
fn mistakes_name_the_dimension_and_the_bound() {
    let parent = tensor(&[4, 8], DataType::F32);
    let says = |result: Result<Tensor, TensorError>, words: &[&str]| {
        let text = result.unwrap_err().to_string();
        for word in words {
            assert!(text.contains(word), "{text:?} lacks {word:?}");
        }
    };
    says(parent.view(&[2, 3], &[3, 2]), &["dimension 0", "offset 3", "2 elements", "length 4"]);
    says(parent.view(&[2, 3, 1], &[0, 0]), &["3 lengths", "2 dimensions"]);
    says(parent.view(&[2], &[0, 0]), &["1 lengths", "2 dimensions"]);
    says(parent.view(&[2, 2], &[u32::MAX, 0]), &["dimension 0", "4294967295", "length 4"]);
    says(parent.slice(1, 0, 9, 1), &["0..9", "dimension 1", "8"]);
    says(parent.slice(1, 5, 4, 1), &["5..4", "dimension 1"]);
    says(parent.slice(0, 0, 4, 0), &["step 0", "dimension 0"]);
    says(parent.slice(2, 0, 1, 1), &["dimension 2", "2 dimensions"]);
    says(parent.permute(&[1, 1]), &["[1, 1]", "dimension 1", "2 dimensions"]);
    says(parent.permute(&[0]), &["1 dimensions", "2 dimensions"]);
    says(parent.permute(&[0, 2]), &["dimension 2", "2 dimensions"]);
    says(parent.transpose(0, 2), &["dimension 2", "2 dimensions"]);
    says(parent.reshape(&[33]), &["[33]", "33 elements", "32"]);
    says(parent.reshape(&[u32::MAX; 5]), &["32"]);
    says(parent.transpose(0, 1).unwrap().reshape(&[32]), &["contiguous", "stride 8", "dimension 1"]);
    says(parent.reshape(&[1; 6]), &["6 dimensions", "5"]);
    says(parent.view(&[1; 6], &[0; 6]), &["6 dimensions", "5"]);
    assert!(matches!(
        parent.element_address(&[4, 0]),
        Err(TensorError::IndexOutOfRange { dimension: 0, index: 4, bound: 4 })
    ));

    let layout = |shape: &[u32], strides: &[i64]| {
        TensorLayout::strided(shape, strides, DataType::F32)
            .and_then(|layout| Tensor::external(0, 128, BufferId::external(0), 0, layout))
    };
    says(layout(&[4, 8], &[0, 1]), &["stride 0", "dimension 0", "at least 1"]);
    says(layout(&[4, 8], &[8, -1]), &["stride -1", "dimension 1"]);
    says(layout(&[4, 8], &[1 << 32, 1]), &["stride 4294967296", "dimension 0", "4294967295"]);
    says(layout(&[4, 8], &[9, 1]), &["0 to 35", "32 of f32"]);
    says(layout(&[1; 6], &[1; 6]), &["6 dimensions", "5"]);
    says(layout(&[4], &[1, 1]), &["2 strides", "1 dimensions"]);
}

/// Sizes are computed wide: what fits in 64 bits works, what does not is an error and never a small number.
#[test]
fn sizes_do_not_wrap() {
    let large = tensor(&[70_000, 70_000], DataType::U8);
    assert_eq!(large.elements(), 4_900_000_000);
    assert_eq!(large.view(&[1, 70_000], &[69_999, 0]).unwrap().start(), 4_899_930_000);
    for (shape, data_type) in
        [(&[1 << 31; 5][..], DataType::F32), (&[u32::MAX; 5], DataType::U8), (&[1 << 31, 1 << 31], DataType::U8)]
    {
        let error = TensorLayout::row_major(shape, data_type).unwrap_err();
        assert!(matches!(error, TensorError::TooLarge { .. } | TensorError::StrideTooLarge { .. }), "{error}");
    }
    assert!(matches!(
        TensorLayout::row_major(&[2, 70_000, 70_000], DataType::U8),
        Err(TensorError::StrideTooLarge { dimension: 0, stride: 4_900_000_000 })
    ));
    // Nobody steps along a dimension of length 1.
    assert_eq!(TensorLayout::row_major(&[1, 70_000, 70_000], DataType::U8).unwrap().bytes(), 4_900_000_000);
    assert!(matches!(
        large.slice(0, 0, 70_000, 65_000),
        Err(TensorError::StrideTooLarge { dimension: 0, stride: 4_550_000_000 })
    ));
    let strides = [u32::MAX as i64; 5];
    assert!(matches!(TensorLayout::strided(&[u32::MAX; 5], &strides, DataType::U8), Err(TensorError::TooLarge { .. })));
    let layout = TensorLayout::row_major(&[1], DataType::U8).unwrap();
    let at = |address, bytes| Tensor::external(address, bytes, BufferId::external(0), 0, layout);
    assert!(matches!(at(0, MAX_BUFFER_BYTES + 1), Err(TensorError::BufferTooLarge { .. })));
    assert!(matches!(at(u64::MAX, 2), Err(TensorError::BufferTooLarge { .. })));
    assert!(at(u64::MAX - 1, 1).is_ok());
    assert!(matches!(
        Tensor::external(0, 8, BufferId::external(0), u64::MAX, layout),
        Err(TensorError::PastBuffer { capacity: 8, .. })
    ));
}

/// A tensor of zero bytes is as good as any other, and so is a single element without dimensions.
#[test]
fn empty_and_scalar_tensors_are_tensors() {
    let parent = tensor(&[64, 16], DataType::F32);
    for offset in [0, 63, 64] {
        let empty = parent.view(&[0, 16], &[offset, 0]).unwrap();
        assert_eq!((empty.elements(), empty.extent(), empty.region()), (0, 0, None));
        assert!(empty.is_empty() && empty.start() <= 1024);
    }
    assert!(parent.view(&[0, 16], &[65, 0]).is_err());
    let output = TensorLayout::row_major(&[0, 7], DataType::F32).unwrap();
    let output = Tensor::output(0x400, BufferId::runtime(1), output, TaskId::from_bits(9), 4).unwrap();
    assert_eq!((output.buffer_bytes(), output.owner(), output.scope()), (0, TaskId::from_bits(9), 4));
    assert!(output.fills_buffer());
    assert_eq!(TensorLayout::strided(&[u32::MAX, u32::MAX, u32::MAX, 0], &[1; 4], DataType::U8).unwrap().elements(), 0);
    let scalar = tensor(&[], DataType::F32);
    assert_eq!((scalar.elements(), scalar.element_address(&[]).unwrap()), (1, 0x1000));
}

/// The bytes of an external tensor are named by address, those of runtime memory by offset; alignment is checked.
#[test]
fn keys_are_addresses_or_offsets() {
    let layout = TensorLayout::row_major(&[2], DataType::F32).unwrap();
    let external = Tensor::external(0x1000, 64, BufferId::external(0), 3, layout).unwrap();
    assert_eq!((external.key_start(), external.first_byte()), (0x100c, 0x100c));
    assert_eq!(external.region().unwrap().end(), 0x1014);
    let runtime = Tensor::output(0x1000, BufferId::runtime(0), layout, TaskId::NONE, 1).unwrap();
    assert_eq!((runtime.key_start(), runtime.slice(0, 1, 2, 1).unwrap().key_start()), (0, 4));
    let error = Tensor::external(0x1002, 64, BufferId::external(0), 0, layout).unwrap_err().to_string();
    assert!(error.contains("0x1002") && error.contains("4"), "{error}");
}

/// Only a tensor over every byte of its buffer fills it.
#[test]
fn filling_a_buffer_means_every_byte() {
    let parent = tensor(&[4, 8], DataType::F32);
    assert!(parent.fills_buffer() && parent.transpose(0, 1).unwrap().fills_buffer());
    assert!(!parent.view(&[3, 8], &[0, 0]).unwrap().fills_buffer());
    assert!(!parent.slice(1, 0, 8, 2).unwrap().fills_buffer());
    // Nine elements that begin and end with the buffer, with gaps: strides of 2 in both dimensions.
    let gaps = TensorLayout::strided(&[3, 3], &[2, 2], DataType::U8).unwrap();
    assert!(!Tensor::external(0, 9, BufferId::external(0), 0, gaps).unwrap().fills_buffer());
}

/// A kernel reads the same address, layout and type as the submitter described, and what it may do.
#[test]
fn an_argument_says_what_the_tensor_says() {
    let view = tensor(&[4, 8], DataType::BF16).view(&[2, 3], &[1, 2]).unwrap().transpose(0, 1).unwrap();
    for index in 0..5 {
        let tag = ArgumentTag::from_index(index).unwrap();
        let argument = TensorArgument::from((&view, tag)).with_flags(6);
        assert_eq!((argument.address(), argument.start(), argument.first_byte()), (0x1000, 10, view.first_byte()));
        assert_eq!((argument.shape(), argument.strides()), (view.shape(), view.strides()));
        assert_eq!((argument.layout(), argument.data_type()), (*view.layout(), DataType::BF16));
        assert_eq!((argument.tag(), argument.tag() as u8, argument.flags()), (tag, index, 6));
    }
    assert_eq!(ArgumentTag::from_index(5), None);
}

/// Numbers, names and sizes of the element types agree with the table that recorded graphs use.
#[test]
fn data_types_are_numbered_as_recorded_graphs_number_them() {
    let names = [
        "f32",
        "f16",
        "i32",
        "i16",
        "i8",
        "u8",
        "bf16",
        "i64",
        "u64",
        "u16",
        "u32",
        "bool",
        "fp8_e4m3fn",
        "fp8_e8m0",
        "fp4_e2m1",
    ];
    let bytes = [4, 2, 4, 2, 1, 1, 2, 8, 8, 2, 4, 1, 1, 1, 1];
    for (index, data_type) in DataType::ALL.into_iter().enumerate() {
        assert_eq!(DataType::from_index(index as u8), Some(data_type));
        assert_eq!((data_type.index(), data_type.name(), data_type.bytes()), (index as u8, names[index], bytes[index]));
        assert_eq!(data_type.to_string(), names[index]);
        let kinds = [data_type.is_integer(), data_type.is_float(), data_type == DataType::Bool];
        assert_eq!(kinds.iter().filter(|&&kind| kind).count(), 1, "{data_type}");
        assert_eq!(data_type.is_signed_integer(), names[index].starts_with('i'));
    }
    assert_eq!(DataType::from_index(15), None);
}

proptest! {
    /// A chain of views names exactly the elements that indexing the parent step by step names, and stays in the buffer.
    #[test]
    fn chains_of_views_name_the_elements_of_the_parent(steps in proptest::collection::vec(any::<[u32; 4]>(), 0..5)) {
        let mut view = tensor(&[3, 4, 5, 6], DataType::U16);
        let mut expected = elements(&view);
        for [kind, a, b, c] in steps {
            let shape: Vec<usize> = view.shape().iter().map(|&length| length as usize).collect();
            let dimension = a as usize % shape.len();
            let length = shape[dimension] as u32;
            let inner: usize = shape[dimension + 1..].iter().product();
            if kind % 2 == 0 {
                let start = b % (length + 1);
                let step = 1 + c % 3;
                view = view.slice(dimension, start, length, step).unwrap();
                expected = expected.into_iter().enumerate().filter(|(place, _)| {
                    let index = (place / inner % length as usize) as u32;
                    index >= start && (index - start).is_multiple_of(step)
                }).map(|(_, element)| element).collect();
            } else {
                let other = b as usize % shape.len();
                let mut turned: Vec<usize> = shape.clone();
                turned.swap(dimension, other);
                view = view.transpose(dimension, other).unwrap();
                let place_of = |place: usize| {
                    let (mut left, mut index) = (place, vec![0; shape.len()]);
                    for at in (0..shape.len()).rev() {
                        index[at] = left % turned[at];
                        left /= turned[at];
                    }
                    index.swap(dimension, other);
                    index.iter().zip(&shape).fold(0, |sum, (&at, &length)| sum * length + at)
                };
                expected = (0..expected.len()).map(|place| expected[place_of(place)]).collect();
            }
            prop_assert_eq!(&elements(&view), &expected);
            prop_assert!(view.start() + view.extent() <= 360);
            if view.is_empty() {
                break;
            }
        }
    }
}
