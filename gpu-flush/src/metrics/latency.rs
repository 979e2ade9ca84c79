//! The histogram of how long an append takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of the append latency histogram: 20 per decade from one microsecond, so up to 100 seconds.
pub const LATENCY_BUCKETS: usize = 160;
const PER_DECADE: f64 = 20.0;
const FIRST_SECONDS: f64 = 1e-6;

/// A histogram of call durations.
#[derive(Debug)]
pub struct Latency {
    buckets: [AtomicU64; LATENCY_BUCKETS],
    longest_nanoseconds: AtomicU64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; LATENCY_BUCKETS], longest_nanoseconds: AtomicU64::new(0) }
    }
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatencySnapshot {
    /// Calls per bucket; see [`Latency::bucket`].
    pub buckets: [u64; LATENCY_BUCKETS],
    /// The longest call.
    pub longest: Duration,
}

impl Latency {
    /// The bucket of a duration: `floor(20 × log10(time / 1 µs))`, at least 0 and at most the last.
    #[must_use]
    pub fn bucket(time: Duration) -> usize {
        let decades = (time.as_secs_f64() / FIRST_SECONDS).max(1.0).log10();
        ((decades * PER_DECADE + 1e-9) as usize).min(LATENCY_BUCKETS - 1)
    }

    pub(crate) fn add(&self, time: Duration) {
        self.buckets[Self::bucket(time)].fetch_add(1, Ordering::Relaxed);
        self.longest_nanoseconds.fetch_max(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// The counts so far.
    #[must_use]
    pub fn snapshot(&self) -> LatencySnapshot {
        let mut buckets = [0; LATENCY_BUCKETS];
        for (count, bucket) in buckets.iter_mut().zip(&self.buckets) {
            *count = bucket.load(Ordering::Relaxed);
        }
        LatencySnapshot { buckets, longest: Duration::from_nanos(self.longest_nanoseconds.load(Ordering::Relaxed)) }
    }
}

impl LatencySnapshot {
    /// Calls counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The upper end of the bucket below which this share of the calls lies.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_secs_f64(FIRST_SECONDS * 10f64.powf((bucket + 1) as f64 / PER_DECADE));
            }
        }
        self.longest
    }
}
