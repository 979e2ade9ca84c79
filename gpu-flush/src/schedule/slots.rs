//! What a batch is made of while it fills, and what a kick hands to its drain.

use super::gate::KickToken;
use crate::device::DeviceError;
use crate::pools::Consume;
use crate::sink::Fence;

/// A kicked batch, owned by its slot until it is drained.
#[derive(Debug)]
pub(crate) struct Handoff {
    pub(crate) token: KickToken,
    /// Number of the batch, in the order of kicks.
    pub(crate) batch: u64,
    /// The aggregate, kept for the exact-size copies of the drain; released by the kick itself where nothing is compressed.
    pub(crate) aggregate: Option<Consume>,
}

/// One of the two slots of batch state.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) kicked: Option<Handoff>,
    /// The sink still reads the slot's payload up to this fence.
    pub(crate) fence: Option<Fence>,
}

/// The two slots, and the rules about the order in which they are used. The rules hold in every build.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    pub(crate) slots: [Slot; 2],
}

impl Slots {
    /// DRAIN_BEFORE_REKICK: whether `slot` may be kicked.
    pub(crate) fn check_kick(&self, slot: usize, batch: u64) -> Result<(), DeviceError> {
        match &self.slots[slot].kicked {
            None => Ok(()),
            Some(held) => Err(DeviceError::failed(
                format!("kick of batch {batch} into slot {slot}"),
                format!("DRAIN_BEFORE_REKICK: batch {} still holds the slot", held.batch),
            )),
        }
    }

    /// DELIVER_OLDEST_FIRST: whether `slot` holds the oldest kicked batch.
    pub(crate) fn check_drain(&self, slot: usize) -> Result<(), DeviceError> {
        let Some(wanted) = &self.slots[slot].kicked else { return Ok(()) };
        match &self.slots[1 - slot].kicked {
            Some(other) if other.batch < wanted.batch => Err(DeviceError::failed(
                format!("drain of batch {} from slot {slot}", wanted.batch),
                format!("DELIVER_OLDEST_FIRST: batch {} was kicked before it", other.batch),
            )),
            _ => Ok(()),
        }
    }

    /// The kicked slots, oldest batch first.
    pub(crate) fn kicked(&self) -> Vec<usize> {
        let mut kicked: Vec<(u64, usize)> = Vec::with_capacity(2);
        for (index, slot) in self.slots.iter().enumerate() {
            if let Some(handoff) = &slot.kicked {
                kicked.push((handoff.batch, index));
            }
        }
        kicked.sort_unstable();
        kicked.into_iter().map(|(_, index)| index).collect()
    }
}
