//! How objects are uploaded.

use crate::error::Error;

/// S3 refuses smaller parts, except the last of an upload.
const PART_BYTES_MIN: usize = 5 << 20;
/// S3's largest part.
const PART_BYTES_MAX: usize = 5 << 30;

/// Settings of an [`super::ObjectSink`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectSettings {
    /// Bytes of a part; an object below it is put whole. From 5 MiB to 5 GiB, as S3 asks.
    pub part_bytes: usize,
    /// Parts on their way at once, over all shards; writing waits when they are used up.
    pub parts_in_flight: usize,
}

impl Default for ObjectSettings {
    fn default() -> Self {
        ObjectSettings { part_bytes: 8 << 20, parts_in_flight: 8 }
    }
}

impl ObjectSettings {
    pub(super) fn validate(&self) -> Result<(), Error> {
        if !(PART_BYTES_MIN..=PART_BYTES_MAX).contains(&self.part_bytes) {
            let reason = format!("{} B is outside {PART_BYTES_MIN} to {PART_BYTES_MAX}", self.part_bytes);
            return Err(Error::invalid_config("part_bytes", reason));
        }
        if self.parts_in_flight == 0 {
            return Err(Error::invalid_config("parts_in_flight", "0 parts never arrive; use at least 1"));
        }
        Ok(())
    }
}
