//! A chip's data, of any width.

use prewire_runtime_core::chip::{ChipSpec, Latencies, Rates, RegisterMap};
use prewire_runtime_core::tensor::DataType;

/// A chip of `clusters` clusters on which everything takes no time.
pub(crate) fn spec(clusters: u16) -> ChipSpec {
    ChipSpec {
        name: "test",
        clusters,
        dies: 1,
        threads_default: 4,
        threads_max: 16,
        counter_hz: 1_000_000_000,
        registers: RegisterMap { dispatch: 0, condition: 8, fast_path: None, pages: &[] },
        coherent: true,
        latencies: Latencies {
            register_read_ns: (1, 1),
            register_write_ns: 1,
            dispatch_ns: 1,
            completion_ns: (1, 1),
            start_ns: (1, 1),
            submit_ns: 1,
            resolve_ns: 1,
        },
        rates: Rates { cube_multiply_adds_per_ns: 1.0, vector_operations_per_ns: 1.0, memory_bytes_per_ns: 1.0 },
        data_types: &DataType::ALL,
        exit_deadline_ms: 1000,
        handshake_deadline_ms: 1000,
    }
}
