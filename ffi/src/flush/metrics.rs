//! What a writer did and how long it took.

use crate::error::{Error, guard};
use crate::flush::writer::{metrics_of, prewire_flush_writer};
use crate::pointer;
use crate::status::prewire_status;
use prewire_gpu_flush::metrics::{Stage, StageSnapshot};

/// A step of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_flush_stage {
    /// The host's copy into staging.
    Memcpy = 0,
    /// Staging to the device.
    HostToDevice = 1,
    /// Input to chunks.
    Scatter = 2,
    /// Level 0 to chunks.
    LodGather = 3,
    /// Level to level.
    LodReduce = 4,
    /// Folding along the append dimension.
    LodFold = 5,
    /// Levels to chunks.
    LodScatter = 6,
    /// Compression.
    Compress = 7,
    /// Packing by shard.
    Aggregate = 8,
    /// Index and payload to the host.
    DeviceToHost = 9,
    /// Delivery to the sink.
    Sink = 10,
}

/// What one stage did.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct prewire_flush_stage_metrics {
    /// Runs.
    pub count: u64,
    /// Time in nanoseconds, without waits.
    pub time_ns: u64,
    /// Bytes that went in.
    pub bytes: u64,
}

/// What a writer did so far, for one array. Times in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct prewire_flush_metrics {
    /// `sizeof(prewire_flush_metrics)`; set it before the call.
    pub size: usize,
    /// Append calls.
    pub appends: u64,
    /// The longest append.
    pub append_longest_ns: u64,
    /// What 99 of 100 appends stayed below.
    pub append_p99_ns: u64,
    /// The most bytes that were pending in the sink.
    pub pending_bytes_peak: u64,
    /// Batches compressed.
    pub batches: u64,
    /// Writes that the sink took by reference.
    pub stable_writes: u64,
    /// Writes that the sink copied.
    pub copied_writes: u64,
    /// Time that the caller was blocked: for a staging slot, for the compressed data, for the sink's reading, for the sink's backlog, in drains.
    pub blocked_staging_ns: u64,
    /// See `blocked_staging_ns`.
    pub blocked_data_ns: u64,
    /// See `blocked_staging_ns`.
    pub blocked_sink_ns: u64,
    /// See `blocked_staging_ns`.
    pub blocked_back_pressure_ns: u64,
    /// See `blocked_staging_ns`.
    pub blocked_flush_ns: u64,
}

const _: () = assert!(size_of::<prewire_flush_metrics>() == 104);

fn ns(snapshot: StageSnapshot) -> u64 {
    snapshot.time.as_nanos() as u64
}

/// What a writer did so far for one array; the blocked times are those of the whole writer. `metrics` stays the caller's, who has set its `size`. Any thread may call it, one at
/// a time for one writer.
///
/// # Safety
/// `metrics` is NULL or points to a `prewire_flush_metrics` whose `size` was set and which may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_get_metrics(
    writer: *const prewire_flush_writer,
    array: usize,
    metrics: *mut prewire_flush_metrics,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let size = unsafe { pointer::sized(metrics.cast_const(), "metrics") }?.size;
        let found = metrics_of(writer, array)?;
        let (latency, stalls) = (&found.append_latency, &found.stalls);
        let value = prewire_flush_metrics {
            size,
            appends: latency.count(),
            append_longest_ns: latency.longest.as_nanos() as u64,
            append_p99_ns: latency.quantile(0.99).as_nanos() as u64,
            pending_bytes_peak: found.pending_bytes_peak,
            batches: found.batches,
            stable_writes: found.stable_writes,
            copied_writes: found.copied_writes,
            blocked_staging_ns: ns(stalls.staging_free),
            blocked_data_ns: ns(stalls.chunk_index) + ns(stalls.d2h_done),
            blocked_sink_ns: ns(stalls.io_fence),
            blocked_back_pressure_ns: ns(stalls.back_pressure),
            blocked_flush_ns: ns(stalls.flush),
        };
        // SAFETY: by contract.
        unsafe { pointer::put(metrics, "metrics", value) }
    })
}

/// What one stage (a `prewire_flush_stage`) of a writer did for one array. `metrics` stays the caller's. Any thread may call it, one at a time for one writer.
///
/// # Safety
/// `metrics` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_get_stage(
    writer: *const prewire_flush_writer,
    array: usize,
    stage: u32,
    metrics: *mut prewire_flush_stage_metrics,
) -> prewire_status {
    guard(|| {
        let stage = Stage::ALL.get(stage as usize).copied();
        let stage = stage.ok_or_else(|| Error::argument("stage is none of the values that the header lists"))?;
        let found = metrics_of(writer, array)?.stage(stage);
        let value = prewire_flush_stage_metrics { count: found.count, time_ns: ns(found), bytes: found.bytes };
        // SAFETY: by contract.
        unsafe { pointer::put(metrics, "metrics", value) }
    })
}
