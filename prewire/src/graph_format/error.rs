//! What is wrong with a file, and where.

use thiserror::Error;

/// A recorded graph could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes could not be had, or could not be put.
    #[error("line {line}: {error}")]
    Io {
        /// The line that was being read or written, from 1.
        line: u64,
        /// What the system says.
        error: std::io::Error,
    },
    /// A line is not JSON.
    #[error("line {line}: not a JSON value: {error}")]
    Json {
        /// The line, from 1.
        line: u64,
        /// What the parser says; its column is within the line.
        error: serde_json::Error,
    },
    /// A line is JSON and says something that the format does not know or that contradicts an earlier line.
    #[error("line {line}: {field}: {problem}")]
    Field {
        /// The line, from 1.
        line: u64,
        /// The field, such as `arguments[2].shape[0]`.
        field: String,
        /// The value, and what it should be.
        problem: String,
    },
}

impl FormatError {
    /// The line that is wrong, from 1.
    pub fn line(&self) -> u64 {
        match self {
            FormatError::Io { line, .. } | FormatError::Json { line, .. } | FormatError::Field { line, .. } => *line,
        }
    }
}
