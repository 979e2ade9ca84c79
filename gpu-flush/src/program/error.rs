//! What can go wrong in the command, and which exit code says so.

use std::io;
use std::path::Path;

use crate::error::Error;
use crate::settings::SETTINGS;

/// An error of the command.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The command line makes no sense, or does not fit the input.
    #[error("{0}")]
    Usage(String),
    /// The input is malformed, or a store is in the way.
    #[error("{0}")]
    Input(String),
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

    /// The exit code that says what kind of thing went wrong: 1 what was written reads back differently, 2 the command line,
    /// 3 the run, 4 a file or other input, 5 a setting of the environment.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            ProgramError::Verify(_) => 1,
            ProgramError::Flush(Error::InvalidConfig { field, .. })
                if SETTINGS.iter().any(|setting| setting.environment == field) =>
            {
                5
            }
            // A budget comes from the command line, and so does everything else of a configuration.
            ProgramError::Usage(_) | ProgramError::Flush(Error::InvalidConfig { .. } | Error::OutOfMemory { .. }) => 2,
            ProgramError::Input(_) | ProgramError::Io { .. } | ProgramError::Flush(Error::SinkFailed { .. }) => 4,
            ProgramError::Flush(_) => 3,
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
        Error::AlreadyExists { path } => ProgramError::Input(format!(
            "{path} already holds a Zarr node; give another name, or --overwrite to replace it"
        )),
        other => other.into(),
    }
}
