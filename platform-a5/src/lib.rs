//! The A5 chip: topology, register map, timing, rates and element types, as data for the simulated platform.
//!
//! `prewire-platform-a2a3` has the same files with the other values.

mod data_types;
mod rates;
mod registers;
mod timing;
mod topology;

use prewire_runtime_core::chip::{ChipSpec, CoreKind, MissingCores};
use prewire_runtime_core::task::ArgumentLimits;

/// The A5 chip.
pub fn chip() -> ChipSpec {
    ChipSpec {
        name: topology::NAME,
        clusters: topology::CLUSTERS,
        missing: MissingCores::NONE,
        kinds: CoreKind::CORES,
        core_names: None,
        dies: topology::DIES,
        threads_default: topology::THREADS_DEFAULT,
        threads_max: topology::THREADS_MAX,
        counter_hz: timing::COUNTER_HZ,
        registers: registers::MAP,
        coherent: topology::COHERENT,
        latencies: timing::LATENCIES,
        rates: rates::RATES,
        arguments: ArgumentLimits::CHIP,
        data_types: data_types::KNOWN,
        exit_deadline_ms: timing::EXIT_DEADLINE_MS,
        handshake_deadline_ms: timing::HANDSHAKE_DEADLINE_MS,
    }
}

#[cfg(test)]
mod tests;
