//! Overlap and covering against sets of bytes.

use prewire_runtime_core::tensor::{DataType, Footprint, Overlap, Region, TensorLayout};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn bytes(start: u64, layout: &TensorLayout) -> BTreeSet<u64> {
    let mut firsts = vec![start];
    for (&length, &stride) in layout.shape().iter().zip(layout.strides()) {
        let step = u64::from(stride) * layout.data_type().bytes();
        firsts = firsts.iter().flat_map(|&first| (0..u64::from(length)).map(move |at| first + at * step)).collect();
    }
    firsts.iter().flat_map(|&first| first..first + layout.data_type().bytes()).collect()
}

fn of_footprint(region: &Region) -> BTreeSet<u64> {
    let footprint = region.footprint();
    let mut firsts = vec![region.start()];
    for (&stride, &count) in footprint.strides_bytes().iter().zip(footprint.counts()) {
        firsts = firsts.iter().flat_map(|&first| (0..count).map(move |at| first + at * stride)).collect();
    }
    firsts.iter().flat_map(|&first| first..first + footprint.run_bytes()).collect()
}

const TYPES: [DataType; 4] = [DataType::U8, DataType::F16, DataType::F32, DataType::I64];

/// Any layout at all: dimensions may interleave, coincide or run across each other.
fn any_layout() -> impl Strategy<Value = TensorLayout> {
    let dimension = (1u32..6, prop_oneof![1i64..8, 1i64..70]);
    (proptest::collection::vec(dimension, 0..=4), 0usize..4).prop_map(|(dimensions, data_type)| {
        let (shape, strides): (Vec<u32>, Vec<i64>) = dimensions.into_iter().unzip();
        TensorLayout::strided(&shape, &strides, TYPES[data_type]).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 1 } else { 4000 }, ..ProptestConfig::default() })]

    /// A footprint has the bytes of its layout, its strides fall strictly, and nothing is left to merge.
    #[test]
    fn a_footprint_is_canonical(layout in any_layout()) {
        let region = Region::new(10, &layout).unwrap();
        prop_assert_eq!(of_footprint(&region), bytes(10, &layout));
        let footprint = region.footprint();
        prop_assert_eq!(region.end(), bytes(10, &layout).last().unwrap() + 1);
        prop_assert!(footprint.strides_bytes().is_sorted_by(|outer, inner| outer > inner));
        prop_assert!(footprint.counts().iter().all(|&count| count >= 2));
        prop_assert!(footprint.strides_bytes().last().is_none_or(|&stride| stride > footprint.run_bytes()));
    }

    /// For any two layouts, an overlap is found exactly when there is a common byte (these searches stay within their budget), and
    /// covering is claimed only where it is true.
    #[test]
    fn overlap_is_common_bytes(a in any_layout(), b in any_layout(), start_a in 0u64..300, start_b in 0u64..300) {
        let (first, second) = (Region::new(start_a, &a).unwrap(), Region::new(start_b, &b).unwrap());
        let (bytes_a, bytes_b) = (bytes(start_a, &a), bytes(start_b, &b));
        let meets = !bytes_a.is_disjoint(&bytes_b);
        prop_assert_eq!(first.intersects(&second), meets);
        prop_assert_eq!(second.intersects(&first), meets);
        match first.overlap(&second) {
            Overlap::Disjoint => prop_assert!(!meets),
            Overlap::Partial => prop_assert!(meets),
            Overlap::Covers => prop_assert!(bytes_b.is_subset(&bytes_a)),
        }
    }

    /// Views of one row-major matrix, sliced with steps and transposed at will: overlap and covering are both exact.
    #[test]
    fn views_of_one_matrix_are_compared_exactly(
        cuts in proptest::array::uniform2(proptest::array::uniform3((0u32..8, 1u32..8, 1u32..4))),
        order in Just(vec![0usize, 1, 2]).prop_shuffle(),
    ) {
        let view = |cuts: &[(u32, u32, u32); 3], order: &[usize]| {
            let strides = [60i64, 8, 1];
            let mut start = 0;
            let (mut shape, mut steps) = (vec![], vec![]);
            for (&(first, count, step), stride) in cuts.iter().zip(strides) {
                let count = count.min((8 - first).div_ceil(step));
                start += u64::from(first) * stride as u64;
                shape.push(count);
                steps.push(stride * i64::from(step));
            }
            let turn = |list: &[u32]| order.iter().map(|&at| list[at]).collect::<Vec<_>>();
            let strides = order.iter().map(|&at| steps[at]).collect::<Vec<_>>();
            (start * 4, TensorLayout::strided(&turn(&shape), &strides, DataType::F32).unwrap())
        };
        let ((start_a, a), (start_b, b)) = (view(&cuts[0], &[0, 1, 2]), view(&cuts[1], &order));
        let (bytes_a, bytes_b) = (bytes(start_a, &a), bytes(start_b, &b));
        let expected = if bytes_a.is_disjoint(&bytes_b) {
            Overlap::Disjoint
        } else if bytes_b.is_subset(&bytes_a) {
            Overlap::Covers
        } else {
            Overlap::Partial
        };
        prop_assert_eq!(Region::new(start_a, &a).unwrap().overlap(&Region::new(start_b, &b).unwrap()), expected);
    }

    /// The same bytes described otherwise give the same footprint: other shape, other type, other order of dimensions.
    #[test]
    fn equal_bytes_give_equal_footprints(rows in 1u32..7, columns in 1u32..5, pitch in 5i64..9) {
        let f64s = TensorLayout::strided(&[rows, columns], &[pitch, 1], DataType::I64).unwrap();
        let f32s = TensorLayout::strided(&[rows, columns, 2], &[2 * pitch, 2, 1], DataType::F32).unwrap();
        let turned = TensorLayout::strided(&[8 * columns, rows], &[1, 8 * pitch], DataType::U8).unwrap();
        prop_assert_eq!(Footprint::new(&f64s), Footprint::new(&f32s));
        prop_assert_eq!(Footprint::new(&f64s), Footprint::new(&turned));
    }
}

/// The whole range of 64 bits is compared without overflow: rows of a matrix of 4.9e9 bytes, and strides that share no factor.
#[test]
fn far_apart_is_far_apart() {
    let row = TensorLayout::row_major(&[70_000], DataType::U8).unwrap();
    let at = |index: u64, layout| Region::new(index * 70_000, layout).unwrap();
    assert!(at(69_999, &row).intersects(&at(69_999, &row)));
    for other in [8642, 8643] {
        assert!(!at(69_999, &row).intersects(&at(other, &row)));
    }
    // x * 4294967291 = y * 4294967279 + 12 (both prime) first at x = 1, y = 1.
    let a = TensorLayout::strided(&[1 << 20], &[4_294_967_291], DataType::U8).unwrap();
    let b = TensorLayout::strided(&[1 << 20], &[4_294_967_279], DataType::U8).unwrap();
    let (first, second) = (Region::new(1 << 62, &a).unwrap(), Region::new((1 << 62) + 12, &b).unwrap());
    assert!(first.intersects(&second));
    let second = Region::new((1 << 62) + 5, &b).unwrap();
    assert!(!first.intersects(&second), "12 (x - y) - 12 y' = 5 has no solution in range");
}
