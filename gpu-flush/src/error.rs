//! What can go wrong, with the facts in the variants. Errors are cloneable because flush and close repeat the first cause.

use std::sync::Arc;

/// The error of every fallible call of this crate.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be built. Nothing was allocated and no file was made.
    #[error("invalid configuration: {field}: {reason}")]
    InvalidConfig {
        /// The field, for example `dimensions[1].chunk`.
        field: String,
        /// What is wrong with its value and what would be right.
        reason: String,
    },
    /// The data or a value given to a call cannot be used. Nothing was consumed.
    #[error("invalid input: {reason}")]
    InvalidInput {
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The storage refused or lost a write.
    #[error("sink failed at {key}: {reason}")]
    SinkFailed {
        /// The key of the shard or document, for example `c/0/1/1`.
        key: String,
        /// The operating system's or the service's message.
        reason: String,
        /// The operating system's error number, where there is one.
        os_error: Option<i32>,
    },
    /// An earlier failure latched this array; nothing more is accepted.
    #[error("the array is broken by an earlier failure: {cause}")]
    Broken {
        /// The first failure.
        cause: Arc<Error>,
    },
    /// The device failed an operation.
    #[error("device failed: {operation}: {reason}")]
    DeviceFailed {
        /// The operation or buffer.
        operation: String,
        /// The device's message.
        reason: String,
    },
    /// The device asked for is not there.
    #[error("device {device} is unavailable: {reason}")]
    DeviceUnavailable {
        /// The device's name.
        device: String,
        /// What was searched for and not found.
        reason: String,
    },
    /// The codec asked for is not there.
    #[error("codec {codec} is unavailable: {reason}")]
    CodecUnavailable {
        /// The codec's name.
        codec: String,
        /// What was searched for and not found.
        reason: String,
    },
    /// The codec cannot compress at the level asked for on this device.
    #[error(
        "codec {codec} has no level {level} on device {device}; use level {default} (its default) or another device"
    )]
    LevelUnsupported {
        /// The codec's name.
        codec: String,
        /// The level asked for.
        level: i32,
        /// The level that the device takes.
        default: i32,
        /// The device's name.
        device: String,
    },
    /// Another array was chosen in the middle of an epoch.
    #[error(
        "array {departing} is {missing_elements} elements short of an epoch boundary; complete it before switching"
    )]
    NotFlushable {
        /// The index of the array that would be left.
        departing: usize,
        /// Elements missing to its next boundary.
        missing_elements: u64,
    },
    /// There is a store already.
    #[error("{path} already holds a Zarr node; choose another place or allow overwriting")]
    AlreadyExists {
        /// The store's place.
        path: String,
    },
    /// The memory budget does not hold the smallest pipeline, or an allocation failed.
    #[error(
        "out of memory: {need_bytes} B needed, {limit_bytes} B allowed; the largest buffer is {largest} with {largest_bytes} B{}",
        remedy(*need_bytes, *smallest_bytes)
    )]
    OutOfMemory {
        /// What the configuration needs.
        need_bytes: u64,
        /// What was allowed.
        limit_bytes: u64,
        /// The smallest budget that works: what batches of one epoch need. `None` where an allocation failed.
        smallest_bytes: Option<u64>,
        /// The name of the largest buffer.
        largest: String,
        /// Its size.
        largest_bytes: u64,
    },
}

fn remedy(need_bytes: u64, smallest_bytes: Option<u64>) -> String {
    match smallest_bytes {
        None => String::new(),
        Some(smallest) if smallest < need_bytes => {
            format!("; allow that much, or {smallest} B, which hold batches of one epoch")
        }
        Some(_) => "; allow that much, the least that holds a batch, or take smaller chunks".to_owned(),
    }
}

impl Error {
    /// A refused configuration: the field and what is wrong with it.
    pub fn invalid_config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::InvalidConfig { field: field.into(), reason: reason.into() }
    }

    /// A refused input.
    pub fn invalid_input(reason: impl Into<String>) -> Self {
        Error::InvalidInput { reason: reason.into() }
    }

    /// A failed write to `key`.
    pub fn sink(key: impl Into<String>, error: &std::io::Error) -> Self {
        Error::SinkFailed { key: key.into(), reason: error.to_string(), os_error: error.raw_os_error() }
    }

    /// The error every later call of a broken array returns: this one, wrapped once.
    #[must_use]
    pub fn into_broken(self) -> Self {
        match self {
            Error::Broken { cause } => Error::Broken { cause },
            other => Error::Broken { cause: Arc::new(other) },
        }
    }
}
