//! Analytic oracles: values that follow from the definition of each method, never from another path of ours.

use half::f16;

use super::{FoldShape, emit_frames, fold_frames, reduce};
use crate::config::ReduceMethod;
use crate::dtype::DataType;

/// Little-endian bytes of small whole numbers in any data type.
fn bytes(dtype: DataType, values: &[i64]) -> Vec<u8> {
    let one = |value: i64| match dtype {
        DataType::F16 => f16::from_f64(value as f64).to_le_bytes().to_vec(),
        DataType::F32 => (value as f32).to_le_bytes().to_vec(),
        DataType::F64 => (value as f64).to_le_bytes().to_vec(),
        _ => value.to_le_bytes()[..dtype.size_bytes()].to_vec(),
    };
    values.iter().flat_map(|&value| one(value)).collect()
}

fn reduced(dtype: DataType, method: ReduceMethod, values: &[i64], from: &[u64], to: &[u64]) -> Vec<u8> {
    let mut result = vec![0xEE; to.iter().product::<u64>() as usize * dtype.size_bytes()];
    reduce(dtype, method, &bytes(dtype, values), from, &mut result, to);
    result
}

/// One window over a 2×…×2 image.
fn window(dtype: DataType, method: ReduceMethod, values: &[i64]) -> Vec<u8> {
    let dimensions = values.len().trailing_zeros().max(1) as usize;
    let from = if values.len() == 1 { vec![1] } else { vec![2; dimensions] };
    reduced(dtype, method, values, &from, &vec![1; from.len()])
}

#[test]
fn a_constant_image_stays_constant_under_every_method_and_type() {
    for dtype in DataType::ALL {
        for method in ReduceMethod::ALL {
            // Odd extents in every dimension, so that border windows of each shape occur, and rows longer than a block.
            let (from, to) = ([3, 5, 141], [2, 3, 71]);
            let image = vec![100; 3 * 5 * 141];
            assert_eq!(
                reduced(dtype, method, &image, &from, &to),
                bytes(dtype, &[100; 2 * 3 * 71]),
                "{dtype} {method}"
            );
            let to = [3, 3, 141];
            assert_eq!(
                reduced(dtype, method, &image, &from, &to),
                bytes(dtype, &[100; 3 * 3 * 141]),
                "{dtype} {method}"
            );
        }
    }
}

#[test]
fn a_ramp_averages_to_the_middle_of_each_window() {
    // 200 columns of value 10·y + x over 4 rows: a 2×2 window at (2i, 2j) has mean 10·(2i + ½) + 2j + ½ = 20i + 2j + 5.5.
    let image: Vec<i64> = (0..4).flat_map(|y| (0..200).map(move |x| 10 * y + x)).collect();
    let mean: Vec<i64> = (0..2).flat_map(|i| (0..100).map(move |j| 20 * i + 2 * j + 5)).collect();
    for dtype in [DataType::U16, DataType::I32, DataType::U64] {
        assert_eq!(reduced(dtype, ReduceMethod::Mean, &image, &[4, 200], &[2, 100]), bytes(dtype, &mean), "{dtype}");
    }
    let halves: Vec<u8> =
        (0..2).flat_map(|i| (0..100).flat_map(move |j| (f64::from(20 * i + 2 * j) + 5.5).to_le_bytes())).collect();
    assert_eq!(reduced(DataType::F64, ReduceMethod::Mean, &image, &[4, 200], &[2, 100]), halves);
    let least: Vec<i64> = (0..2).flat_map(|i| (0..100).map(move |j| 20 * i + 2 * j)).collect();
    assert_eq!(reduced(DataType::I16, ReduceMethod::Min, &image, &[4, 200], &[2, 100]), bytes(DataType::I16, &least));
    let most: Vec<i64> = least.iter().map(|value| value + 11).collect();
    assert_eq!(reduced(DataType::F32, ReduceMethod::Max, &image, &[4, 200], &[2, 100]), bytes(DataType::F32, &most));
}

#[test]
fn the_border_windows_of_an_odd_image_hold_what_exists() {
    let ramp: Vec<i64> = (0..15).collect();
    assert_eq!(reduced(DataType::U8, ReduceMethod::Mean, &ramp, &[3, 5], &[2, 3]), [3, 5, 6, 10, 12, 14]);
    assert_eq!(reduced(DataType::U8, ReduceMethod::Max, &ramp, &[3, 5], &[2, 3]), [6, 8, 9, 11, 13, 14]);
    assert_eq!(reduced(DataType::U8, ReduceMethod::Min, &ramp, &[3, 5], &[2, 3]), [0, 2, 4, 10, 12, 14]);
    assert_eq!(reduced(DataType::U8, ReduceMethod::Median, &ramp, &[3, 5], &[2, 3]), [5, 7, 9, 11, 13, 14]);
}

/// Part of FLUSH-048: the chain of levels of a one-hot image.
#[test]
fn a_single_bright_pixel_is_found_where_it_belongs() {
    let mut image = vec![0; 64 * 64];
    image[37 * 64 + 22] = 255;
    let expected = [(18usize, 11usize, 63u8), (9, 5, 15), (4, 2, 3)];
    for method in [ReduceMethod::Max, ReduceMethod::Mean] {
        let mut level = bytes(DataType::U8, &image);
        for (index, (y, x, mean)) in expected.into_iter().enumerate() {
            let (from, to) = (64u64 >> index, 32u64 >> index);
            let mut next = vec![0xEE; (to * to) as usize];
            reduce(DataType::U8, method, &level, &[from, from], &mut next, &[to, to]);
            let mut wanted = vec![0; (to * to) as usize];
            wanted[y * to as usize + x] = if method == ReduceMethod::Max { 255 } else { mean };
            assert_eq!(next, wanted, "{method}, level {}", index + 1);
            level = next;
        }
    }
}

/// Claims FLUSH-046 (the CPU device is the only one there is; the writer's tests repeat it through a store).
#[test]
fn suppressed_extremes_go_by_rank() {
    for dtype in DataType::ALL {
        for (values, from, second_most, second_least) in [
            (&[9, 1, 2, 3][..], &[2u64, 2][..], 3, 2),
            (&[1, 9, 2, 3], &[2, 2], 3, 2),
            (&[9, 9, 1, 2], &[2, 2], 9, 2),
            (&[4, 7], &[2], 4, 7),
            (&[5], &[1], 5, 5),
        ] {
            let to = vec![1; from.len()];
            let most = reduced(dtype, ReduceMethod::MaxSuppressed, values, from, &to);
            assert_eq!(most, bytes(dtype, &[second_most]), "{dtype} {values:?}");
            let least = reduced(dtype, ReduceMethod::MinSuppressed, values, from, &to);
            assert_eq!(least, bytes(dtype, &[second_least]), "{dtype} {values:?}");
        }
    }
}

/// Claims FLUSH-047.
#[test]
fn windows_of_five_dimensions_are_used_whole() {
    let values: Vec<i64> = (0..32).collect();
    let expected = [
        (ReduceMethod::Max, 31),
        (ReduceMethod::Min, 0),
        (ReduceMethod::Mean, 15),
        (ReduceMethod::Median, 16),
        (ReduceMethod::MaxSuppressed, 30),
        (ReduceMethod::MinSuppressed, 1),
    ];
    for dtype in DataType::ALL.into_iter().filter(|dtype| !dtype.is_float()) {
        for (method, value) in expected {
            assert_eq!(window(dtype, method, &values), bytes(dtype, &[value]), "{dtype} {method}");
        }
    }
    assert_eq!(window(DataType::F16, ReduceMethod::Mean, &values), f16::from_f64(15.5).to_le_bytes());
}

#[test]
fn float_means_do_not_overflow() {
    let large = [f32::MAX.to_le_bytes(); 4].concat();
    let mut result = [0; 4];
    reduce(DataType::F32, ReduceMethod::Mean, &large, &[2, 2], &mut result, &[1, 1]);
    assert_eq!(f32::from_le_bytes(result), f32::MAX);
}

/// Folds frames of constant value and returns what each emission at the end of a window, and a last partial one, wrote.
fn folded(dtype: DataType, method: ReduceMethod, period: u64, values: &[i64]) -> Vec<i64> {
    let shape = FoldShape { dtype, method, frame_elements: 3, epoch_frames: 1, period };
    let mut accumulators = vec![0xEE; shape.bytes()];
    let mut out = Vec::new();
    for (number, &value) in values.iter().enumerate() {
        fold_frames(&shape, number as u64, 1, &bytes(dtype, &[value; 3]), &mut accumulators);
        if (number as u64 + 1).is_multiple_of(period) || number + 1 == values.len() {
            let mut image = vec![0xEE; 3 * dtype.size_bytes()];
            emit_frames(&shape, number as u64 + 1, &accumulators, &mut image);
            let size = dtype.size_bytes();
            assert!(image.chunks(size).all(|element| element == &image[..size]), "the frame is constant");
            out.push(image[..size].iter().rev().fold(0, |value, &byte| value << 8 | i64::from(byte)));
        }
    }
    out
}

/// Part of FLUSH-043 and FLUSH-044: the folds themselves; the writer's tests assert the stores.
#[test]
fn the_append_fold_divides_a_wide_sum_by_the_true_count() {
    let mean = |period, values: &[i64]| folded(DataType::U16, ReduceMethod::Mean, period, values);
    for period in [2, 4, 8] {
        assert!(mean(period, &[100; 8]).iter().all(|&value| value == 100), "period {period}");
    }
    assert_eq!(mean(4, &[10, 20, 30, 40]), [25]);
    let time: Vec<i64> = (0..8).collect();
    assert_eq!(mean(2, &time), [0, 2, 4, 6]);
    assert_eq!(mean(4, &time), [1, 5]);
    assert_eq!(mean(8, &time), [3]);
    assert_eq!(mean(2, &time[..7]), [0, 2, 4, 6]);
    assert_eq!(mean(4, &time[..7]), [1, 5]);
    assert_eq!(mean(8, &time[..7]), [3]);
    let least = |period| folded(DataType::U16, ReduceMethod::Min, period, &time);
    assert_eq!((least(2), least(4), least(8)), (vec![0, 2, 4, 6], vec![0, 4], vec![0]));
    let most = |period| folded(DataType::U16, ReduceMethod::Max, period, &time);
    assert_eq!((most(2), most(4), most(8)), (vec![1, 3, 5, 7], vec![3, 7], vec![7]));
}

/// Claims FLUSH-045.
#[test]
fn wide_integers_fold_without_overflow_and_round_by_one_rule() {
    assert_eq!(folded(DataType::U64, ReduceMethod::Mean, 8, &[1 << 62; 8]), [1 << 62]);
    let half = [(1u64 << 63).to_le_bytes(); 4].concat();
    let mut result = [0; 8];
    reduce(DataType::U64, ReduceMethod::Mean, &half, &[2, 2], &mut result, &[1, 1]);
    assert_eq!(u64::from_le_bytes(result), 1 << 63);
    assert_eq!(window(DataType::I64, ReduceMethod::Mean, &[-1, -2, -2, -2]), bytes(DataType::I64, &[-1]));
    assert_eq!(window(DataType::I16, ReduceMethod::Mean, &[-7, -8]), bytes(DataType::I16, &[-7]));
    assert_eq!(folded(DataType::I16, ReduceMethod::Mean, 2, &[-7, -8]), [0xFFF9], "the bits of −7");
}

/// Part of FLUSH-050: frames of append chunks longer than one keep their time order.
#[test]
fn long_append_chunks_fold_neighbouring_frames() {
    let shape =
        FoldShape { dtype: DataType::U8, method: ReduceMethod::Mean, frame_elements: 1, epoch_frames: 4, period: 2 };
    let mut accumulators = vec![0; shape.bytes()];
    let mut image = [0xEE; 4];
    fold_frames(&shape, 0, 4, &[0, 1, 2, 3], &mut accumulators);
    fold_frames(&shape, 4, 4, &[4, 5, 6, 7], &mut accumulators);
    emit_frames(&shape, 8, &accumulators, &mut image);
    assert_eq!(image, [0, 2, 4, 6]);
    // Five frames: two windows, one of a single frame, and a slot that no frame reached.
    fold_frames(&shape, 8, 4, &[10, 20, 30, 40], &mut accumulators);
    fold_frames(&shape, 12, 1, &[50, 99, 99, 99], &mut accumulators);
    emit_frames(&shape, 13, &accumulators, &mut image);
    assert_eq!(image, [15, 35, 50, 0]);
}

#[test]
fn numbers_win_over_nan_in_extremes() {
    let image: Vec<u8> = [f32::NAN, 2.0, 5.0, f32::NAN].iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut result = [0; 4];
    reduce(DataType::F32, ReduceMethod::Max, &image, &[2, 2], &mut result, &[1, 1]);
    assert_eq!(f32::from_le_bytes(result), 5.0);
    reduce(DataType::F32, ReduceMethod::Min, &image, &[2, 2], &mut result, &[1, 1]);
    assert_eq!(f32::from_le_bytes(result), 2.0);
}
