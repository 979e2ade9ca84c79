//! How the program ends: the exit code says what kind of thing went wrong, the message says what.

use prewire::{BuildError, Failed};
use prewire_gpu_flush::program::ProgramError;
use std::process::ExitCode;

/// What the program ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// All went well.
    Success = 0,
    /// A result or the edges were not as they should be.
    CheckFailed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// A run ended with an error; the message has its code.
    Run = 3,
    /// A file or other input is missing, malformed or cannot be written.
    Input = 4,
    /// A setting of the environment has a value that it cannot have.
    Setting = 5,
    /// Whoever read our output has gone; the code that a shell gives for SIGPIPE.
    Closed = 141,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        ExitCode::from(status as u8)
    }
}

/// What went wrong, as a sentence.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}\ntry 'prewire help'")]
    Usage(String),
    #[error("{0}")]
    Check(String),
    #[error("{0}")]
    Input(String),
    #[error("{0}")]
    Setting(String),
    #[error("the run failed{code}: {text}", code = .code.map(|code| format!(" with code {code}")).unwrap_or_default())]
    Run { code: Option<u16>, text: String },
    #[error("standard output was closed")]
    Closed,
}

impl Failure {
    pub(super) fn status(&self) -> Status {
        match self {
            Failure::Usage(_) => Status::Usage,
            Failure::Check(_) => Status::CheckFailed,
            Failure::Input(_) => Status::Input,
            Failure::Setting(_) => Status::Setting,
            Failure::Run { .. } => Status::Run,
            Failure::Closed => Status::Closed,
        }
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Failure::Usage(error.to_string())
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        Failure::Run { code: failed.error.code().map(|code| code.number()), text: failed.error.to_string() }
    }
}

impl From<ProgramError> for Failure {
    fn from(error: ProgramError) -> Self {
        let text = error.to_string();
        match (error.exit_code(), error) {
            (_, ProgramError::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => Failure::Closed,
            (1, _) => Failure::Check(text),
            (2, _) => Failure::Usage(text),
            (4, _) => Failure::Input(text),
            (5, _) => Failure::Setting(text),
            _ => Failure::Run { code: None, text },
        }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Setting(error) => Failure::Setting(error.to_string()),
            // These come from options of the command line, which have no other check.
            BuildError::Threads { .. } | BuildError::Clusters { .. } => Failure::Usage(error.to_string()),
            other => Failure::Run { code: other.code().map(|code| code.number()), text: other.to_string() },
        }
    }
}
