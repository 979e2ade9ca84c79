//! Accumulators along the append dimension: one element, or one widened sum, per element of a frame.

use super::element::Element;
use crate::config::ReduceMethod;

/// Takes a frame into accumulators of the element type (min, max); the `first` frame of a window replaces what was there.
pub(super) fn fold_extreme<T: Element>(
    method: ReduceMethod,
    first: bool,
    accumulators: &mut [T::Bytes],
    frame: &[T::Bytes],
) {
    if first {
        accumulators.copy_from_slice(frame);
        return;
    }
    let least = method == ReduceMethod::Min;
    for (accumulator, &value) in accumulators.iter_mut().zip(frame) {
        let (old, new) = (T::read(*accumulator), T::read(value));
        *accumulator = T::write(if least { old.least(new) } else { old.greatest(new) });
    }
}

/// Takes a frame into accumulators of sums (mean).
pub(super) fn fold_sum<T: Element>(first: bool, accumulators: &mut [T::TotalBytes], frame: &[T::Bytes]) {
    for (accumulator, &value) in accumulators.iter_mut().zip(frame) {
        let mut total = T::read(value).total();
        if !first {
            let mut sum = T::read_total(*accumulator);
            sum += total;
            total = sum;
        }
        *accumulator = T::write_total(total);
    }
}

/// Writes the means of `count` frames.
pub(super) fn emit_mean<T: Element>(count: u64, accumulators: &[T::TotalBytes], frame: &mut [T::Bytes]) {
    for (value, &accumulator) in frame.iter_mut().zip(accumulators) {
        *value = T::write(T::total_mean(T::read_total(accumulator), count));
    }
}
