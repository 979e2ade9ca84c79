//! Where the fields of every structure lie, as Rust has it, for the C compiler to say the same.

use prewire_ffi::config::prewire_config;
use prewire_ffi::flush::array::{prewire_flush_array, prewire_flush_dimension};
use prewire_ffi::flush::metrics::{prewire_flush_metrics, prewire_flush_stage_metrics};
use prewire_ffi::flush::settings::{prewire_flush_estimate, prewire_flush_settings};
use prewire_ffi::flush::sink::prewire_flush_sink;
use prewire_ffi::kernel::{prewire_kernel_call, prewire_tensor_argument, prewire_view};
use prewire_ffi::registration::prewire_kernel;
use prewire_ffi::report::{prewire_kernel_failure, prewire_report_counts, prewire_ring_peaks, prewire_stall};
use prewire_ffi::runtime::prewire_chip_info;
use prewire_ffi::task::{prewire_argument, prewire_dependency, prewire_new_tensor, prewire_predicate, prewire_task};
use prewire_ffi::tensor::{prewire_tensor, prewire_tensor_info};
use std::fmt::Write;
use std::mem::offset_of;

/// One line of assertions for each structure and each of its fields.
macro_rules! layouts {
    ($($structure:ident { $($field:ident),* })*) => {{
        let mut text = String::new();
        $(
            let size = size_of::<$structure>();
            let name = stringify!($structure);
            writeln!(text, "static_assert(sizeof({name}) == {size}, \"{name}\");").unwrap();
            $(
                let (field, offset) = (stringify!($field), offset_of!($structure, $field));
                writeln!(text, "static_assert(offsetof({name}, {field}) == {offset}, \"{name}.{field}\");").unwrap();
            )*
        )*
        text
    }};
}

/// A program that compiles only if the header has every structure as Rust has it.
pub(crate) fn program() -> String {
    let assertions = layouts! {
        prewire_config {
            size, chip, engine, seed, clusters, threads, flags, hazards, ring_task_window, ring_heap, ring_dep_pool, index_entries, watchdog_ms,
            no_progress_ms, data_wait_ms, log, log_context, log_level, reserved
        }
        prewire_chip_info { clusters, cube_cores, vector_cores, is_virtual }
        prewire_tensor { opaque, seal }
        prewire_tensor_info { address, elements, shape, strides, dimensions, data_type }
        prewire_tensor_argument { address, start, shape, strides, data_type, dimensions, reserved, kind, flags, spare }
        prewire_kernel_call {
            tensors, tensor_count, scalars, scalar_count, block_index, block_count, part, context, text, text_bytes
        }
        prewire_kernel { size, name, core_kind, flags, function, context, lasts_ns, id, reserved }
        prewire_view { data, elements, shape, strides, dimensions, is_contiguous }
        prewire_new_tensor { shape, dimensions, data_type, is_filled, initial }
        prewire_argument { kind, reserved, tensor, allocation, allocated }
        prewire_dependency { task, flags, reserved }
        prewire_predicate { operand, indices, index_count, comparison, reserved, target }
        prewire_task {
            size, kind, flags, kernels, core, blocks, arguments, argument_count, scalars, scalar_count, dependencies, dependency_count, predicate, budget_ns
        }
        prewire_ring_peaks { window_peak, window, heap_peak_bytes, heap_bytes, edges_peak, edges }
        prewire_report_counts {
            size, run, scopes_left_open, tasks, allocations, completed, failed, unrun, elapsed_ns, index_peak, index_entries, watchdog_ns, notes, rings
        }
        prewire_kernel_failure { task, kernel, block, code, reserved, text }
        prewire_stall {
            stall_class, orchestration_done, budget_ms, submitted, completed, running, ready, waiting, stuck_task, stuck_ms
        }
        prewire_flush_dimension { name, size, chunk, chunks_per_shard, downsample, axis, unit, scale }
        prewire_flush_array {
            size, name, data_type, codec, level, shuffle, dimensions, dimension_count, storage_positions, levels_max, reduce, append_reduce,
            preserve_aspect_ratio, fill, reserved, fill_integer, fill_float
        }
        prewire_flush_settings {
            size, staging_bytes, target_batch_bytes, metadata_update_interval_ms, backpressure_bytes, backpressure_wait_max_ms, memory_budget_bytes,
            epochs_per_batch, threads_max, device, force_gate_off, overwrite, log_level, log, log_context
        }
        prewire_flush_estimate { total_bytes, largest_bytes, epochs_per_batch, reserved }
        prewire_flush_sink {
            size, context, page_bytes, open, write, write_direct, truncate, finalize, abandon, put, record_fence, wait_fence, pending_bytes, flush
        }
        prewire_flush_metrics {
            size, appends, append_longest_ns, append_p99_ns, pending_bytes_peak, batches, stable_writes, copied_writes, blocked_staging_ns,
            blocked_data_ns, blocked_sink_ns, blocked_back_pressure_ns, blocked_flush_ns
        }
        prewire_flush_stage_metrics { count, time_ns, bytes }
    };
    format!("#include <prewire.h>\n{assertions}int main() {{ return 0; }}\n")
}

/// How many structures the header defines, each by its name behind the closing brace.
pub(crate) fn structures(header: &str) -> Vec<&str> {
    let names = header.lines().filter_map(|line| line.strip_prefix("} ")?.strip_suffix(';'));
    names.filter(|name| name.starts_with("prewire_")).collect()
}
