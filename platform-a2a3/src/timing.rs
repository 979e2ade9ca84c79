//! How fast the chip's clocks and registers are.
//!
//! The figures are those that the public runtime hw-native-sys/simpler states for this chip.

use prewire_runtime_core::chip::Latencies;

/// Ticks per second of the system counter.
pub(crate) const COUNTER_HZ: u64 = 50_000_000;

/// Latencies: a condition register read in 95 to 105 ns, a register written in 5 ns, a token seen after 140 ns, an end seen after 180 ns at best and
/// 600 ns on average, a kernel started 280 to 350 ns behind its token, a submit of 874 ns, an idle iteration of a
/// scheduler of 115 ns, and about 500 ns for a completion with one or two consumers and 5 us for one with fifty, which is 350 ns and 100 ns for each.
pub(crate) const LATENCIES: Latencies = Latencies {
    register_read_ns: (95, 105),
    register_write_ns: 5,
    dispatch_ns: 140,
    completion_ns: (180, 600),
    start_ns: (280, 350),
    submit_ns: 874,
    complete_ns: 350,
    resolve_ns: 100,
    step_ns: 115,
};

/// How long all cores together may take to leave.
pub(crate) const EXIT_DEADLINE_MS: u64 = 1_000;

/// How long a core may take to announce itself. Public runs have seen skews of several seconds between parties that start together.
pub(crate) const HANDSHAKE_DEADLINE_MS: u64 = 5_000;
