//! What became of one rung of the ladder.

use std::fmt;
use std::process::ExitCode;

/// How a command ended. A rung that could not run is neither a pass nor a failure, and says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ran, and everything it looked at was right.
    Passed,
    /// It ran and found something wrong; the details are already printed.
    Failed,
    /// It did not run, for the reason given.
    DidNotRun(String),
}

impl Outcome {
    /// `Passed` for a true check, `Failed` for a false one.
    pub(crate) fn from_success(success: bool) -> Self {
        if success { Self::Passed } else { Self::Failed }
    }

    /// 0 passed, 1 failed, 3 did not run. (2 is a usage error, as for most programs.)
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Passed => ExitCode::SUCCESS,
            Self::Failed => ExitCode::FAILURE,
            Self::DidNotRun(_) => ExitCode::from(3),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => formatter.write_str("passed"),
            Self::Failed => formatter.write_str("FAILED"),
            Self::DidNotRun(reason) => write!(formatter, "DID NOT RUN: {reason}"),
        }
    }
}
