//! The stages: each queues its payload operation on views it was given. No stage waits, records or knows another's buffers.

mod aggregate;
mod compress;
mod ingest;
mod levels;
mod transfer;

pub(crate) use aggregate::{AggregateViews, aggregate};
pub(crate) use compress::{CompressPlan, compress};
pub(crate) use ingest::{Input, host_to_device, linear, scatter, zero, zero_rest};
pub(crate) use levels::{FoldStep, LevelsPlan, fold, gather_level_0, level_scatter, reduce};
pub(crate) use transfer::{copy_back, upload};

use crate::device::{Access, Accesses, Device, DeviceError, Operation, Payload, StreamId, Tag};
use crate::metrics::TimerHandle;

/// Where a stage queues: a stream of a device, and the timer of the stage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lane<'a> {
    pub(crate) device: &'a dyn Device,
    pub(crate) stream: StreamId,
    pub(crate) timer: Option<&'a TimerHandle>,
}

impl Lane<'_> {
    fn queue(&self, tag: Tag, payload: Payload, accesses: &[Access]) -> Result<(), DeviceError> {
        self.queue_borrowed(tag, payload, accesses, None)
    }

    fn queue_borrowed(
        &self,
        tag: Tag,
        payload: Payload,
        accesses: &[Access],
        source: Option<&[u8]>,
    ) -> Result<(), DeviceError> {
        let timer = self.timer.cloned();
        let operation = Operation { tag, payload, accesses: Accesses::new(accesses), source, timer };
        // SAFETY: every access comes from the view of a held guard, so its edges are queued on this stream already.
        unsafe { self.device.enqueue(self.stream, operation) }
    }
}
