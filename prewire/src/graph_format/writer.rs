//! Writing a file.

use super::model::RecordedGraph;
use super::{FormatError, event, header};
use serde_json::Value;
use std::io::Write;

impl RecordedGraph {
    /// Writes the graph, its counts included. What is written reads back as it was.
    ///
    /// # Errors
    /// If the bytes cannot be put.
    pub fn write(&self, output: &mut impl Write) -> Result<(), FormatError> {
        let lines = std::iter::once(header::to_json(&self.header, &self.statistics()))
            .chain(self.events.iter().map(event::to_json));
        for (number, value) in lines.enumerate() {
            put(output, &value).map_err(|error| FormatError::Io { line: number as u64 + 1, error })?;
        }
        output.flush().map_err(|error| FormatError::Io { line: self.events.len() as u64 + 1, error })
    }
}

fn put(output: &mut impl Write, value: &Value) -> std::io::Result<()> {
    serde_json::to_writer(&mut *output, value)?;
    output.write_all(b"\n")
}
