//! How a writer works: buffers, batches, threads, limits.

use crate::error::{Error, guard};
use crate::flush::array::prewire_flush_array;
use crate::log::{Logger, prewire_log_function, prewire_log_level};
use crate::pointer;
use crate::status::prewire_status;
use prewire_gpu_flush::config::DeviceChoice;
use prewire_gpu_flush::{EngineConfig, Error as FlushError, writer};
use std::ffi::c_void;
use std::time::Duration;

/// Which device carries the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_flush_device {
    /// The host's cores.
    Cpu = 0,
    /// A CUDA device.
    Cuda = 1,
    /// CUDA where it is available, else the host.
    Auto = 2,
}

/// How a writer works. Begin with `prewire_flush_settings_init`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_flush_settings {
    /// `sizeof(prewire_flush_settings)`.
    pub size: usize,
    /// Bytes of one of the two staging slots.
    pub staging_bytes: usize,
    /// The size a batch aims at where `epochs_per_batch` is 0.
    pub target_batch_bytes: u64,
    /// Time between rewrites of the array documents; 0 rewrites after every delivery that changed the extent.
    pub metadata_update_interval_ms: u64,
    /// Pending sink bytes above which an append waits; 0 never waits.
    pub backpressure_bytes: u64,
    /// The longest such wait.
    pub backpressure_wait_max_ms: u64,
    /// The memory that all buffers together may take; 0 does not limit it.
    pub memory_budget_bytes: u64,
    /// Epochs compressed together; 0 derives it from `target_batch_bytes`.
    pub epochs_per_batch: u32,
    /// Worker threads; 0 takes the cores that the process is allowed.
    pub threads_max: u32,
    /// A `prewire_flush_device`.
    pub device: u32,
    /// 1 if the schedule is chosen as if the device could not wait for a value, else 0.
    pub force_gate_off: u32,
    /// 1 if the writer may replace what the store holds already, else 0.
    pub overwrite: u32,
    /// The least important `prewire_log_level` that `log` is called for.
    pub log_level: u32,
    /// Called with what the writer has to say; NULL for silence. See `prewire_log_function`.
    pub log: prewire_log_function,
    /// Handed to `log`.
    pub log_context: *mut c_void,
}

const _: () = assert!(size_of::<prewire_flush_settings>() == 96);

/// The memory that a writer of one array will take.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct prewire_flush_estimate {
    /// Bytes of all buffers together.
    pub total_bytes: u64,
    /// Bytes of the kind of buffer that takes the most.
    pub largest_bytes: u64,
    /// Epochs compressed together.
    pub epochs_per_batch: u32,
    /// 0.
    pub reserved: u32,
}

/// Writes the defaults into the settings of a writer. `settings` stays the caller's. Any thread may call it.
///
/// # Safety
/// `settings` is NULL or points to a `prewire_flush_settings` that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_settings_init(settings: *mut prewire_flush_settings) -> prewire_status {
    guard(|| {
        let default = EngineConfig::default();
        let value = prewire_flush_settings {
            size: size_of::<prewire_flush_settings>(),
            staging_bytes: default.staging_bytes,
            target_batch_bytes: default.target_batch_bytes,
            metadata_update_interval_ms: default.metadata_update_interval.as_millis() as u64,
            backpressure_bytes: 0,
            backpressure_wait_max_ms: default.backpressure_wait_max.as_millis() as u64,
            memory_budget_bytes: 0,
            epochs_per_batch: 0,
            threads_max: 0,
            device: prewire_flush_device::Cpu as u32,
            force_gate_off: 0,
            overwrite: 0,
            log_level: prewire_log_level::Warning as u32,
            log: None,
            log_context: std::ptr::null_mut(),
        };
        // SAFETY: by contract.
        unsafe { pointer::put(settings, "settings", value) }
    })
}

impl prewire_flush_settings {
    /// The settings that C gives, or the defaults for NULL.
    ///
    /// # Safety
    /// `settings` is NULL or points to a `prewire_flush_settings`.
    pub(crate) unsafe fn engine(
        settings: *const prewire_flush_settings,
    ) -> Result<(EngineConfig, Option<Logger>, bool), Error> {
        if settings.is_null() {
            return Ok((EngineConfig::default(), None, false));
        }
        // SAFETY: by contract.
        let settings = unsafe { pointer::sized(settings, "settings") }?;
        let some = |value: u64| (value != 0).then_some(value);
        let engine = EngineConfig {
            staging_bytes: settings.staging_bytes,
            epochs_per_batch: (settings.epochs_per_batch != 0).then_some(settings.epochs_per_batch),
            target_batch_bytes: settings.target_batch_bytes,
            metadata_update_interval: Duration::from_millis(settings.metadata_update_interval_ms),
            backpressure_bytes: some(settings.backpressure_bytes),
            backpressure_wait_max: Duration::from_millis(settings.backpressure_wait_max_ms),
            threads_max: (settings.threads_max != 0).then_some(settings.threads_max as usize),
            memory_budget_bytes: some(settings.memory_budget_bytes),
            device: match settings.device {
                0 => DeviceChoice::Cpu,
                1 => DeviceChoice::Cuda,
                2 => DeviceChoice::Auto,
                device => {
                    let reason = format!("{device} is none of the values that the header lists");
                    return Err(FlushError::invalid_config("settings.device", reason).into());
                }
            },
            force_gate_off: settings.force_gate_off != 0,
        };
        let logger = Logger::new(settings.log, settings.log_context, settings.log_level)?;
        Ok((engine, logger, settings.overwrite != 0))
    }
}

/// The memory that a writer of `array` will take, computed without taking any. `settings` may be NULL for the defaults; `page_bytes` is the sink's page size, 0 for none.
/// All stay the caller's. Any thread may call it.
///
/// # Safety
/// `array` is NULL or points to a `prewire_flush_array` whose pointers are NULL or point to as much as it says; `settings` is NULL or points to a
/// `prewire_flush_settings`; `estimate` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_flush_memory(
    array: *const prewire_flush_array,
    settings: *const prewire_flush_settings,
    page_bytes: usize,
    estimate: *mut prewire_flush_estimate,
) -> prewire_status {
    guard(|| {
        // SAFETY: by contract.
        let array = unsafe { pointer::sized(array, "array") }?;
        // SAFETY: by contract.
        let config = unsafe { array.config(0) }?;
        // SAFETY: by contract.
        let (engine, logger, _) = unsafe { prewire_flush_settings::engine(settings) }?;
        let found = Logger::during(logger.as_ref(), || writer::memory_estimate(&config, &engine, page_bytes))?;
        let value = prewire_flush_estimate {
            total_bytes: found.total_bytes(),
            largest_bytes: found.largest().map_or(0, |buffer| buffer.bytes * buffer.count),
            epochs_per_batch: found.epochs_per_batch,
            reserved: 0,
        };
        // SAFETY: by contract.
        unsafe { pointer::put(estimate, "estimate", value) }
    })
}
