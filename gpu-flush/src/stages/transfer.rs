//! The stages that copy to the device and back.

use super::Lane;
use crate::device::{DeviceError, Payload, Tag, Unit};
use crate::pools::{ReadView, WriteView};

/// Copies tables to the device.
pub(crate) fn upload(
    lane: Lane<'_>,
    batch: u64,
    copy: Option<(ReadView<'_>, WriteView<'_>)>,
) -> Result<(), DeviceError> {
    match copy {
        Some((from, to)) => {
            lane.queue(Tag::new("UPLOAD", Unit::Batch(batch)), Payload::Copy, &[to.write(), from.read()])
        }
        None => Ok(()),
    }
}

/// Copies a batch's index or payload to the host, or does nothing where the host can read the device's.
pub(crate) fn copy_back(
    lane: Lane<'_>,
    name: &'static str,
    batch: u64,
    copy: Option<(ReadView<'_>, WriteView<'_>)>,
) -> Result<(), DeviceError> {
    let tag = Tag::new(name, Unit::Batch(batch));
    match copy {
        Some((from, to)) => lane.queue(tag, Payload::Copy, &[to.write(), from.read()]),
        None => lane.queue(tag, Payload::Elided, &[]),
    }
}
