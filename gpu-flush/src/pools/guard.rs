//! The right to write or to read a slot, which ends with a release.

use super::view::{ReadView, WriteView};
use crate::device::{BufferId, DeviceError};
use crate::edges::{Edge, Edges, Place};

/// The right to write one slot. Release consumes it and records the pool's ready edge.
#[must_use = "an acquired slot is given back by a release"]
#[derive(Debug)]
pub struct Produce {
    pub(super) slot: u32,
    pub(super) buffer: BufferId,
    pub(super) bytes: u64,
    pub(super) ready: Option<Edge>,
}

impl Produce {
    /// The slot it opens.
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The whole slot.
    #[must_use]
    pub fn all(&self) -> WriteView<'_> {
        WriteView::new(self.buffer, 0, self.bytes)
    }

    /// Gives the slot back: what `place` queued so far has filled it.
    pub(crate) fn release(self, edges: &Edges, place: Place) -> Result<(), DeviceError> {
        match self.ready {
            Some(edge) if edge.descriptor().alias_of.is_none() => edges.record(edge, self.slot, place),
            _ => Ok(()),
        }
    }
}

/// The right to read one slot. Release consumes it and records the pool's consumed edge.
#[must_use = "an acquired slot is given back by a release"]
#[derive(Debug)]
pub struct Consume {
    pub(super) slot: u32,
    pub(super) buffer: BufferId,
    pub(super) bytes: u64,
    pub(super) consumed: Option<Edge>,
}

impl Consume {
    /// The slot it opens.
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The whole slot.
    #[must_use]
    pub fn all(&self) -> ReadView<'_> {
        ReadView::new(self.buffer, 0, self.bytes)
    }

    /// The whole slot for a change in place: until it releases, its consumer is alone with it.
    #[must_use]
    pub fn in_place(&mut self) -> WriteView<'_> {
        WriteView::new(self.buffer, 0, self.bytes)
    }

    /// Gives the slot back: what `place` queued so far has read it. An alias is recorded with the edge that owns its event.
    pub(crate) fn release(self, edges: &Edges, place: Place) -> Result<(), DeviceError> {
        match self.consumed {
            Some(edge) if edge.descriptor().alias_of.is_none() => edges.record(edge, self.slot, place),
            _ => Ok(()),
        }
    }
}
