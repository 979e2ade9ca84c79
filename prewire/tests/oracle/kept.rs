//! Programs that once failed, made small and kept as files.

use super::program::Program;
use serde::{Deserialize, Serialize};

/// A program with what it is kept for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// What went wrong.
    pub(crate) why: String,
    /// The window of the smallest rings in which it fits; 0 for those of the default sizes.
    pub(crate) window: usize,
    pub(crate) program: Program,
}

impl Kept {
    /// Reads one from a file.
    ///
    /// # Errors
    /// If there is none, in words.
    pub(crate) fn read(path: &std::path::Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// As it is written to a file.
    pub(crate) fn text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a program has no value that JSON lacks");
        text + "\n"
    }
}
