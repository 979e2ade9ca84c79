//! The methods that need a whole window at once: median and the two suppressed extremes.

use super::element::Element;
use crate::config::ReduceMethod;

/// The value of a window by rank. The window is reordered.
///
/// # Panics
///
/// When the window is empty or the method is not a rank method.
pub(super) fn by_rank<T: Element>(method: ReduceMethod, window: &mut [T]) -> T {
    let last = window.len() - 1;
    let rank = match method {
        ReduceMethod::Median => window.len() / 2,
        ReduceMethod::MaxSuppressed => last.saturating_sub(1),
        ReduceMethod::MinSuppressed => last.min(1),
        _ => unreachable!("{method} is no rank method"),
    };
    let (_, value, _) = window.select_nth_unstable_by(rank, T::order);
    *value
}
