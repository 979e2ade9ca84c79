//! What is shared by all arrays of one engine: staging, batches, threads, limits.

use std::time::Duration;

use crate::error::Error;

/// Which device carries the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The host's cores.
    #[default]
    Cpu,
    /// A CUDA device, loaded at run time.
    Cuda,
    /// CUDA where it is available, else the host; the report says which was taken and why.
    Auto,
}

/// Settings of the engine. The defaults suit a camera on a workstation.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineConfig {
    /// Bytes of one of the two staging slots; rounded up to 4096. More than 0.
    pub staging_bytes: usize,
    /// Epochs compressed together; `None` derives it from `target_batch_bytes`.
    pub epochs_per_batch: Option<u32>,
    /// The size a batch aims at when `epochs_per_batch` is `None`.
    pub target_batch_bytes: u64,
    /// Time between rewrites of the array documents; zero rewrites after every delivery that changed the extent.
    pub metadata_update_interval: Duration,
    /// Pending sink bytes above which `append` waits; `None` never waits.
    pub backpressure_bytes: Option<u64>,
    /// The longest wait for back-pressure before `append` logs a warning and goes on.
    pub backpressure_wait_max: Duration,
    /// Worker threads; `None` takes the cores the process is allowed.
    pub threads_max: Option<usize>,
    /// The memory all buffers together may take; `None` does not limit it.
    pub memory_budget_bytes: Option<u64>,
    /// The device.
    pub device: DeviceChoice,
    /// Makes schedule selection see a device without value waits, so that drain-before-kick runs.
    pub force_gate_off: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            staging_bytes: 16 << 20,
            epochs_per_batch: None,
            target_batch_bytes: 512 << 20,
            metadata_update_interval: Duration::from_secs(1),
            backpressure_bytes: None,
            backpressure_wait_max: Duration::from_secs(30),
            threads_max: None,
            memory_budget_bytes: None,
            device: DeviceChoice::Cpu,
            force_gate_off: false,
        }
    }
}

impl EngineConfig {
    /// Sets the bytes of one staging slot.
    #[must_use]
    pub fn staging_bytes(mut self, bytes: usize) -> Self {
        self.staging_bytes = bytes;
        self
    }

    /// Sets the number of epochs compressed together.
    #[must_use]
    pub fn epochs_per_batch(mut self, epochs: u32) -> Self {
        self.epochs_per_batch = Some(epochs);
        self
    }

    /// Sets the time between rewrites of the array documents.
    #[must_use]
    pub fn metadata_update_interval(mut self, interval: Duration) -> Self {
        self.metadata_update_interval = interval;
        self
    }

    /// Sets the number of worker threads.
    #[must_use]
    pub fn threads_max(mut self, threads: usize) -> Self {
        self.threads_max = Some(threads);
        self
    }

    /// Limits the memory of all buffers together.
    #[must_use]
    pub fn memory_budget_bytes(mut self, bytes: u64) -> Self {
        self.memory_budget_bytes = Some(bytes);
        self
    }

    /// Makes schedule selection see a device without value waits.
    #[must_use]
    pub fn force_gate_off(mut self, off: bool) -> Self {
        self.force_gate_off = off;
        self
    }

    /// Bytes of one staging slot as allocated: rounded up to 4096.
    #[must_use]
    pub fn staging_slot_bytes(&self) -> usize {
        self.staging_bytes.next_multiple_of(4096)
    }

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] that names the field.
    pub fn validate(&self) -> Result<(), Error> {
        if self.staging_bytes == 0 {
            return Err(Error::invalid_config("staging_bytes", "0 holds no element; use at least 4096"));
        }
        if self.staging_bytes > isize::MAX as usize - 4096 {
            return Err(Error::invalid_config(
                "staging_bytes",
                format!("{} B cannot be allocated", self.staging_bytes),
            ));
        }
        if self.epochs_per_batch == Some(0) {
            return Err(Error::invalid_config(
                "epochs_per_batch",
                "0 is no batch; use at least 1, or None for automatic",
            ));
        }
        if self.target_batch_bytes == 0 {
            return Err(Error::invalid_config("target_batch_bytes", "0 is no target; the default is 512 MiB"));
        }
        if self.threads_max == Some(0) {
            return Err(Error::invalid_config(
                "threads_max",
                "0 threads cannot work; use at least 1, or None for automatic",
            ));
        }
        Ok(())
    }
}
