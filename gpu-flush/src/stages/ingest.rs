//! The stage that tiles and transposes input into chunks.

use super::Lane;
use crate::device::{DeviceError, Payload, Scatter, Tag, Unit};
use crate::pools::{ReadView, WriteView};

/// Where a dispatch's bytes are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input<'a> {
    /// In a device staging slot.
    Staged(ReadView<'a>),
    /// In the caller's slice, on a device whose memory is host memory.
    Borrowed(&'a [u8]),
}

/// Copies host staging to device staging, or does nothing where both are the caller's slice.
pub(crate) fn host_to_device(
    lane: Lane<'_>,
    dispatch: u64,
    copy: Option<(ReadView<'_>, WriteView<'_>)>,
) -> Result<(), DeviceError> {
    let tag = Tag::new("H2D", Unit::Dispatch(dispatch));
    match copy {
        Some((from, to)) => lane.queue(tag, Payload::Copy, &[to.write(), from.read()]),
        None => lane.queue(tag, Payload::Elided, &[]),
    }
}

/// Writes a dispatch to its chunks. `pool` spans the epochs it touches, or is the whole batch where the chunks have places in shards.
pub(crate) fn scatter(
    lane: Lane<'_>,
    dispatch: u64,
    scatter: Scatter,
    pool: WriteView<'_>,
    input: Input<'_>,
) -> Result<(), DeviceError> {
    let tag = Tag::new("SCATTER", Unit::Dispatch(dispatch));
    let payload = Payload::Scatter(scatter);
    match input {
        Input::Staged(staging) => lane.queue(tag, payload, &[pool.write(), staging.read()]),
        Input::Borrowed(source) => lane.queue_borrowed(tag, payload, &[pool.write()], Some(source)),
    }
}

/// Appends a dispatch to the row-major epoch that the levels are computed from.
pub(crate) fn linear(lane: Lane<'_>, dispatch: u64, to: WriteView<'_>, input: Input<'_>) -> Result<(), DeviceError> {
    let tag = Tag::new("LINEAR", Unit::Dispatch(dispatch));
    match input {
        Input::Staged(staging) => lane.queue(tag, Payload::Copy, &[to.write(), staging.read()]),
        Input::Borrowed(source) => lane.queue_borrowed(tag, Payload::Copy, &[to.write()], Some(source)),
    }
}

/// Zeroes a pool slot, or a part of one; leaves it out where nothing needs it.
pub(crate) fn zero(lane: Lane<'_>, slot: u32, view: Option<WriteView<'_>>) -> Result<(), DeviceError> {
    let tag = Tag::new("ZERO", Unit::Slot(slot));
    match view {
        Some(view) => lane.queue(tag, Payload::Zero, &[view.write()]),
        None => lane.queue(tag, Payload::Elided, &[]),
    }
}

/// Zeroes what a partial epoch leaves of its region: what a left-out [`zero`] still owes.
pub(crate) fn zero_rest(lane: Lane<'_>, slot: u32, scatter: Scatter, region: WriteView<'_>) -> Result<(), DeviceError> {
    let payload = Payload::ZeroRest(scatter);
    lane.queue(Tag::new("ZERO_REST", Unit::Slot(slot)), payload, &[region.write()])
}
