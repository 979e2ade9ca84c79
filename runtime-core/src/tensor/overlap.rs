//! Do two strided sets of bytes meet, and does one contain the other?
//!
//! Two regions meet when some choice of indices makes their distance vanish. Written with every stride positive, that is one
//! question: is there a sum of multiples of the strides, each multiple within its bound, inside a window as wide as the two
//! runs? Equal strides of the two sides become one term, so views that share their strides are decided
//! with a handful of divisions. Everything else is searched from the largest stride down, with what the smaller ones can still
//! reach as the bound, and the last two terms are solved outright. The search has a budget; a pair that
//! exhausts it counts as meeting, so that no meeting pair is ever missed.

use super::{Footprint, MAX_DIMENSIONS};

/// How the bytes of one region lie to those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// They share no byte.
    Disjoint,
    /// They may share bytes, and the first may lack some of the second's.
    Partial,
    /// The first contains every byte of the second, or equals it.
    Covers,
}

/// How many steps a search may take before the answer is the safe one.
const SEARCH_BUDGET: u32 = 1 << 12;

/// A footprint and its first byte.
pub(super) type Placed<'a> = (u64, &'a Footprint);

pub(super) fn overlap(first: Placed<'_>, second: Placed<'_>) -> Overlap {
    if !intersects(first, second) {
        Overlap::Disjoint
    } else if covers(first, second) {
        Overlap::Covers
    } else {
        Overlap::Partial
    }
}

pub(super) fn intersects((start_a, a): Placed<'_>, (start_b, b): Placed<'_>) -> bool {
    if start_a + a.span_bytes() <= start_b || start_b + b.span_bytes() <= start_a {
        return false;
    }
    if a.is_contiguous() && b.is_contiguous() {
        return true;
    }
    // a + Σ i·s + u = b + Σ j·t + v  with u, v inside the runs. With j counted from the other end every term is positive:
    // Σ i·s + Σ j'·t lies in [b - a + span - (run_a - 1), b - a + span + (run_b - 1)], span being what b's strides reach.
    let reach_a = (a.span_bytes() - a.run_bytes()) as i64;
    let reach_b = (b.span_bytes() - b.run_bytes()) as i64;
    let distance = start_b.wrapping_sub(start_a) as i64 + reach_b;
    let (low, high) = (distance - (a.run_bytes() as i64 - 1), distance + (b.run_bytes() as i64 - 1));
    // All multiples zero, or all at their bounds, is the usual answer; the spans meet, so that the window is neither below nor above.
    if low <= 0 || high >= reach_a + reach_b {
        return true;
    }
    let mut terms = Terms::default();
    terms.merge(a, b);
    let mut budget = SEARCH_BUDGET;
    terms.reach(0, low, high, &mut budget)
}

/// Positive strides with the largest multiple of each, largest stride first; `rest[k]` is what the terms from `k` on reach together.
#[derive(Default)]
struct Terms {
    strides: [i64; 2 * MAX_DIMENSIONS],
    most: [i64; 2 * MAX_DIMENSIONS],
    rest: [i64; 2 * MAX_DIMENSIONS + 1],
    used: usize,
}

impl Terms {
    fn merge(&mut self, a: &Footprint, b: &Footprint) {
        let (strides_a, strides_b) = (a.strides_bytes(), b.strides_bytes());
        let (mut i, mut j) = (0, 0);
        while i < strides_a.len() || j < strides_b.len() {
            let stride_a = strides_a.get(i).copied().unwrap_or(0);
            let stride_b = strides_b.get(j).copied().unwrap_or(0);
            let stride = stride_a.max(stride_b);
            let mut most = 0;
            if stride_a == stride {
                most += a.counts()[i] - 1;
                i += 1;
            }
            if stride_b == stride {
                most += b.counts()[j] - 1;
                j += 1;
            }
            self.strides[self.used] = stride as i64;
            self.most[self.used] = most as i64;
            self.used += 1;
        }
        for term in (0..self.used).rev() {
            self.rest[term] = self.rest[term + 1] + self.strides[term] * self.most[term];
        }
    }

    /// Whether the terms from `term` on can add up to something in `low..=high`.
    fn reach(&self, term: usize, low: i64, high: i64, budget: &mut u32) -> bool {
        if high < 0 || low > self.rest[term] {
            return false;
        }
        if low <= 0 || high >= self.rest[term] {
            return true;
        }
        // From here on 0 < low <= high < rest[term], so there is a term left.
        let (stride, most) = (self.strides[term], self.most[term]);
        let rest = self.rest[term + 1];
        let from = if low > rest { (low - rest + stride - 1) / stride } else { 0 };
        let to = (high / stride).min(most);
        match self.used - term {
            1 => from <= to,
            2 => two_terms(stride, self.strides[term + 1], (from, to), low, high),
            _ => (from..=to).any(|multiple| {
                if *budget == 0 {
                    return true;
                }
                *budget -= 1;
                self.reach(term + 1, low - multiple * stride, high - multiple * stride, budget)
            }),
        }
    }
}

/// Whether `x·stride + y·inner` is in `low..=high` for some `from <= x <= to` and some y within its bounds, where `x·stride <= high`
/// and `low <= x·stride + (largest y)·inner` hold for every such `x`.
///
/// The bounds of y need no further look. The largest multiple of `inner` that is not above `high - x·stride` is not negative; if
/// it is no less than `low - x·stride` it fits, and should it be beyond the largest y, then that y fits.
fn two_terms(stride: i64, inner: i64, (from, to): (i64, i64), low: i64, high: i64) -> bool {
    if from > to {
        return false;
    }
    if high - low >= inner - 1 {
        return true;
    }
    let start = (high - from * stride) % inner;
    let step = (-stride).rem_euclid(inner);
    first_within(step, inner, start, high - low).is_some_and(|steps| steps <= i128::from(to - from))
}

/// The smallest `k >= 0` with `(start + k·step) mod modulus <= width`, if there is one. Arguments are reduced: `0 <= step, start
/// < modulus`, `0 <= width < modulus`.
fn first_within(step: i64, modulus: i64, start: i64, width: i64) -> Option<i128> {
    if start <= width {
        return Some(0);
    }
    // (start + k·step) mod modulus in [0, width]  ⇔  k·step mod modulus in [modulus - start, modulus - start + width].
    first_between(
        i128::from(step),
        i128::from(modulus),
        i128::from(modulus - start),
        i128::from(modulus - start + width),
    )
}

/// The smallest `k >= 0` with `low <= k·step mod modulus <= high`, where `0 <= low <= high < modulus`. Euclid's algorithm: either
/// the first lap around the modulus hits, or the laps themselves form a smaller problem of the same kind.
fn first_between(step: i128, modulus: i128, low: i128, high: i128) -> Option<i128> {
    if low == 0 {
        return Some(0);
    }
    if step == 0 {
        return None;
    }
    let first = (low + step - 1) / step;
    if first * step <= high {
        return Some(first);
    }
    // No multiple of `step` lies in [low, high]; find the fewest laps after which one lies in the shifted window.
    // k·step - laps·modulus in [low, high]: laps·modulus mod step must land within [-high, -low] mod step.
    let laps = first_between(modulus % step, step, (-high).rem_euclid(step), (-low).rem_euclid(step))?;
    Some((low + laps * modulus + step - 1) / step)
}

/// Whether every byte of `b` is one of `a`. A yes is always right; a no is right whenever `b`'s strides are sums of multiples of
/// `a`'s without a carry, or `b` has few runs and `a`'s dimensions do not interleave.
fn covers((start_a, a): Placed<'_>, (start_b, b): Placed<'_>) -> bool {
    if start_b < start_a || start_b + b.span_bytes() > start_a + a.span_bytes() {
        return false;
    }
    if a.is_contiguous() || (start_a == start_b && a == b) {
        return true;
    }
    covers_by_digits(a, b, start_b - start_a) || covers_by_runs(a, b, start_b - start_a)
}

/// Writes the offset and each stride of `b` as multiples of `a`'s strides plus a remainder. If even the last index along every
/// dimension of `b` keeps each multiple below `a`'s count and the remainders inside `a`'s run, all of `b` lies in `a`.
fn covers_by_digits(a: &Footprint, b: &Footprint, offset: u64) -> bool {
    let mut places = [0; MAX_DIMENSIONS];
    // All sums stay within the span of `a`, which `b` does not exceed.
    let mut remainder = b.run_bytes();
    let mut add = |mut distance: u64, times: u64| {
        for (place, &stride) in places.iter_mut().zip(a.strides_bytes()) {
            if distance >= stride {
                *place += distance / stride * times;
                distance %= stride;
            }
        }
        remainder += distance * times;
    };
    add(offset, 1);
    for (&stride, &count) in b.strides_bytes().iter().zip(b.counts()) {
        add(stride, count - 1);
    }
    remainder <= a.run_bytes() && places.iter().zip(a.counts()).all(|(place, count)| place < count)
}

/// Looks at each run of `b`, if they are few.
fn covers_by_runs(a: &Footprint, b: &Footprint, offset: u64) -> bool {
    const MOST_RUNS: u64 = 1 << 10;
    let runs = b.runs();
    runs <= MOST_RUNS
        && (0..runs).all(|run| {
            let mut distance = offset;
            let mut left = run;
            for (&stride, &count) in b.strides_bytes().iter().zip(b.counts()) {
                distance += left % count * stride;
                left /= count;
            }
            for (&stride, &count) in a.strides_bytes().iter().zip(a.counts()) {
                distance -= (distance / stride).min(count - 1) * stride;
            }
            distance + b.run_bytes() <= a.run_bytes()
        })
}
