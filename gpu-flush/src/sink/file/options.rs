//! How a folder is written.

use crate::error::Error;

/// Options of a [`super::FileSink`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileOptions {
    /// Writes in flight at once, each on a thread of its own; 1 to 64.
    pub writes_in_flight: usize,
    /// Whether shards bypass the page cache. Pays when the store is larger than memory, or when a frame grabber needs the memory.
    pub direct: bool,
    /// Whether a shard and a document reach the disk before they become visible.
    pub durable: bool,
}

impl Default for FileOptions {
    fn default() -> Self {
        FileOptions { writes_in_flight: 4, direct: false, durable: false }
    }
}

impl FileOptions {
    /// Sets the number of writes in flight.
    #[must_use]
    pub fn writes_in_flight(mut self, writes: usize) -> Self {
        self.writes_in_flight = writes;
        self
    }

    /// Sets whether shards bypass the page cache.
    #[must_use]
    pub fn direct(mut self, direct: bool) -> Self {
        self.direct = direct;
        self
    }

    /// Sets whether shards and documents reach the disk before they become visible.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        if !(1..=64).contains(&self.writes_in_flight) {
            return Err(Error::invalid_config(
                "writes_in_flight",
                format!("{} is outside 1 to 64", self.writes_in_flight),
            ));
        }
        if self.direct && !cfg!(target_os = "linux") {
            return Err(Error::invalid_config("direct", "direct I/O is supported on Linux only; use buffered writes"));
        }
        Ok(())
    }
}
