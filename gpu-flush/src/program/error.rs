//! What can go wrong in the command, and which exit code says so.

use std::io;
use std::path::Path;

use crate::error::Error;

/// An error of the command.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The command line or the input does not fit.
    #[error("{0}")]
    Usage(String),
    /// Reading or writing failed.
    #[error("{place}: {source}")]
    Io {
        /// The file or stream.
        place: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The writer failed.
    #[error(transparent)]
    Flush(#[from] Error),
    /// What was written reads back differently.
    #[error("verification failed: {0}")]
    Verify(String),
}

impl ProgramError {
    pub(super) fn io(place: impl AsRef<Path>, source: io::Error) -> Self {
        ProgramError::Io { place: place.as_ref().display().to_string(), source }
    }

    /// 2 when the command line is at fault, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            ProgramError::Usage(_) | ProgramError::Flush(Error::InvalidConfig { .. } | Error::AlreadyExists { .. }) => {
                2
            }
            _ => 1,
        }
    }
}

impl From<lexopt::Error> for ProgramError {
    fn from(error: lexopt::Error) -> Self {
        ProgramError::Usage(error.to_string())
    }
}

/// Names the option that helps when the store exists.
pub(super) fn existing(error: Error) -> ProgramError {
    match error {
        Error::AlreadyExists { path } => ProgramError::Usage(format!(
            "{path} already holds a Zarr node; give another name, or --overwrite to replace it"
        )),
        other => other.into(),
    }
}
