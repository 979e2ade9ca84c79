//! What an append says: whether the array takes more, and what it did not take.

/// Whether an array takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Everything was taken.
    Ok,
    /// The array is full, or was flushed; what was not taken is in the rest.
    Finished,
}

/// The outcome of an append.
#[must_use = "a finished array hands back what it did not take"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended<'a> {
    /// Whether the array takes more.
    pub status: Status,
    /// The bytes that were not taken: empty unless finished.
    pub rest: &'a [u8],
}
