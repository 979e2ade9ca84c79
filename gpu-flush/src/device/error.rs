//! Why a device refuses or fails.

use super::{Label, Tag};

/// Why a device refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// There is not enough memory for a buffer.
    #[error("no memory for {label}: {bytes} bytes wanted, {available} available under the limit")]
    OutOfMemory {
        /// The buffer.
        label: Label,
        /// Its size.
        bytes: u64,
        /// What was left.
        available: u64,
    },
    /// The device cannot do what was asked.
    #[error("the device does not support {0}")]
    Unsupported(&'static str),
    /// An operation touched bytes that it had not declared.
    #[error(
        "{tag} touched bytes {touched_start}..{touched_end} of {label}, of which it had declared {start}..{end} for {mode}"
    )]
    Undeclared {
        /// The operation.
        tag: Tag,
        /// The buffer.
        label: Label,
        /// First byte declared.
        start: u64,
        /// One past the last byte declared.
        end: u64,
        /// First byte touched.
        touched_start: u64,
        /// One past the last byte touched.
        touched_end: u64,
        /// What the range was declared for: read, write, or read and write.
        mode: &'static str,
    },
    /// Nothing that was queued can ever run, and the host waits for it.
    #[error("deadlock: the host waits for {waiting_for} and no stream can advance ({blocked})")]
    Deadlock {
        /// What the host waits for.
        waiting_for: String,
        /// The head of each stream's queue.
        blocked: String,
    },
    /// The device was lost, or an operation on it failed.
    #[error("{what} failed on the device: {reason}")]
    Failed {
        /// The operation or call.
        what: String,
        /// Why.
        reason: String,
    },
}

impl DeviceError {
    /// A failure of `what` because of `reason`.
    pub fn failed(what: impl ToString, reason: impl ToString) -> Self {
        Self::Failed { what: what.to_string(), reason: reason.to_string() }
    }
}

impl From<DeviceError> for crate::error::Error {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::OutOfMemory { label, bytes, available } => Self::OutOfMemory {
                smallest_bytes: None,
                need_bytes: bytes,
                limit_bytes: available,
                largest: label.to_string(),
                largest_bytes: bytes,
            },
            DeviceError::Failed { what, reason } => Self::DeviceFailed { operation: what, reason },
            other => Self::DeviceFailed { operation: "the device".into(), reason: other.to_string() },
        }
    }
}
