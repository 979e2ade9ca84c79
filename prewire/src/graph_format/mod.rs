//! Recorded task graphs: one JSON value per line, a header and then what the orchestration did, in order.
//!
//! The page `docs/graph-format.md` describes the format. [`Reader`] streams a file and says of a malformed line which line and which field is
//! wrong; [`RecordedGraph`] holds a whole file and writes it.

mod error;
mod event;
mod field;
mod header;
mod model;
mod reader;
mod statistics;
mod writer;

pub use error::FormatError;
pub use model::{
    ArgumentRecord, BufferRecord, DependencyRecord, EdgeRecord, EdgeSource, EntryRecord, Event, Header, KernelRecord,
    PredicateRecord, RecordedGraph, TaskKind, TaskRecord,
};
pub use reader::Reader;
pub use statistics::Statistics;

/// The version of the format that is read and written.
pub const FORMAT_VERSION: u64 = 1;
/// The longest line that is read, in bytes.
pub const MAX_LINE_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests;
