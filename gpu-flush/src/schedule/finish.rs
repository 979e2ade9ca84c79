//! The end of an array: flush, close, and the way out after a failure.

use super::array::Array;
use super::engine::Engine;
use crate::error::Error;
use crate::sink::guarded;

/// How far the end of an array has come.
#[derive(Debug, Default)]
pub(crate) struct Finish {
    /// The result of flush; later flushes repeat it.
    pub(crate) flushed: Option<Result<(), Error>>,
    /// The result of close; later closes repeat it.
    pub(crate) closed: Option<Result<(), Error>>,
    /// The final extents are written.
    published: bool,
}

impl Engine {
    /// Ends the input: dispatches what is staged, pads the last epoch, drains every batch and closes the shards. Returns when
    /// the last write is queued. The array takes nothing more.
    pub(crate) fn flush(&mut self, array: &mut Array) -> Result<(), Error> {
        if let Some(result) = &array.finish.flushed {
            return result.clone();
        }
        let result = match array.broken.clone() {
            None => self.flush_input(array).map_err(|error| array.latch(error)),
            Some(first) => Err(first),
        };
        // Whatever failed, kicked batches are drained or dropped: their tokens publish either way.
        let drained = self.drain_kicked(array);
        let result = result.and(drained).map_err(|_| array.broken.clone().unwrap_or_else(lost));
        self.staging = None;
        self.open = None;
        array.finish.flushed = Some(result.clone());
        result
    }

    fn flush_input(&mut self, array: &mut Array) -> Result<(), Error> {
        self.dispatch_staged(array)?;
        self.drain_kicked(array)?;
        let epoch = array.geometry.epoch_input_elements;
        let partial = array.dispatched % epoch;
        if partial > 0 {
            self.close_partial_epoch(array, partial)?;
        }
        if !array.masks.is_empty() {
            self.kick_and_drain(array)?;
        }
        if array.dispatched > 0 {
            self.flush_partial_append(array, if partial > 0 { partial } else { epoch })?;
        }
        let sink = std::sync::Arc::clone(&array.sink);
        for shards in &mut array.shards {
            let delivered = shards.close_partial(sink.as_ref())?;
            array.copied_writes += delivered.copied_writes;
        }
        if let Some(error) = sink.error() {
            return Err(error);
        }
        let fence = guarded("fence", || Ok(sink.record_fence()))?;
        for (level, shards) in array.shards.iter().enumerate() {
            array.publisher.closed(level, shards.closed_epochs(), fence);
        }
        array.slots.slots[array.fill].fence = Some(fence);
        if sink.fence_retired(fence) {
            self.publish_final(array)?;
        }
        Ok(())
    }

    fn publish_final(&self, array: &mut Array) -> Result<(), Error> {
        let sink = std::sync::Arc::clone(&array.sink);
        array.publisher.finish(sink.as_ref(), array.cursor)?;
        array.finish.published = true;
        Ok(())
    }

    /// Flushes if that was not done, waits until every write is durable, and publishes the final extents.
    pub(crate) fn close(&mut self, array: &mut Array) -> Result<(), Error> {
        if let Some(result) = &array.finish.closed {
            return result.clone();
        }
        let flushed = self.flush(array);
        let sink = std::sync::Arc::clone(&array.sink);
        // Queued writes point at the payloads, so they are waited for whatever happened before.
        let mut result = flushed.and(self.wait_writes(array));
        if result.is_ok() && !array.finish.published {
            result = self.publish_final(array);
        }
        result = result.and_then(|()| guarded("flush", || sink.flush()));
        let result = result.map_err(|error| array.latch(error));
        if result.is_err() {
            // What was finished before the failure can still be shown.
            if let Err(error) = guarded("zarr.json", || array.publisher.settle(sink.as_ref())) {
                tracing::debug!(%error, "the extent of the finished shards could not be published");
            }
        }
        array.finish.closed = Some(result.clone());
        result
    }

    /// Waits until the sink holds nothing of this array's payloads.
    fn wait_writes(&mut self, array: &mut Array) -> Result<(), Error> {
        let mut result = Ok(());
        for slot in 0..2 {
            result = result.and(self.wait_fence(array, slot));
        }
        result
    }

    /// Ends an array whatever state it is in, and frees its own buffers. Errors go to the log.
    pub(crate) fn abandon(&mut self, array: &mut Array) {
        let unclosed = array.finish.closed.is_none();
        if unclosed && let Err(error) = self.close(array) {
            tracing::error!(array = array.number, %error, "the array was dropped with an error");
        }
        // A token that was leaked keeps its kick waiting; nothing below may wait for it.
        array.gate.release_all();
        self.synchronize();
        if unclosed && let Err(error) = self.wait_writes(array) {
            tracing::debug!(array = array.number, %error, "the sink ended with an error");
        }
        array.buffers.destroy(self.device.as_ref());
    }

    /// Leaves nothing of `array` in flight, so that another may use the engine.
    pub(crate) fn leave(&mut self, array: &mut Array) -> Result<(), Error> {
        let open = array.broken.is_none() && array.finish.flushed.is_none();
        let flushed = if open { self.leave_input(array) } else { Ok(()) };
        self.staging = None;
        self.open = None;
        let drained = self.drain_kicked(array);
        let stream = self.streams.of(crate::edges::Place::DeviceToHost).unwrap_or(self.streams.all()[3]);
        let idle = self.device.synchronize(stream).map_err(Error::from);
        // A fence belongs to the sink that recorded it; no other array may meet it.
        let retired = self.wait_writes(array);
        flushed.and(drained).and(idle).and(retired).map_err(|error| array.latch(error))
    }

    /// Dispatches what is staged and delivers the epochs that wait for their batch. A last, partial epoch is flushed.
    fn leave_input(&mut self, array: &mut Array) -> Result<(), Error> {
        self.dispatch_staged(array)?;
        if array.missing_elements() > 0 {
            return self.flush(array);
        }
        if !array.masks.is_empty() {
            self.kick_and_drain(array)?;
            array.masks.clear();
        }
        Ok(())
    }

    /// After a delivery: the visible extent, and back-pressure.
    pub(crate) fn publish_progress(&mut self, array: &mut Array) -> Result<(), Error> {
        let sink = std::sync::Arc::clone(&array.sink);
        let fence = array.slots.slots.iter().filter_map(|slot| slot.fence).max_by_key(|fence| fence.sequence);
        if let Some(fence) = fence {
            for (level, shards) in array.shards.iter().enumerate() {
                array.publisher.closed(level, shards.closed_epochs(), fence);
            }
        }
        let updated = guarded("zarr.json", || array.publisher.update(sink.as_ref()));
        updated.map_err(|error| array.latch(error))?;
        self.back_pressure(array)
    }

    /// Waits, asleep, while the sink has too much pending; at most as long as configured.
    fn back_pressure(&self, array: &mut Array) -> Result<(), Error> {
        let pending = array.sink.pending_bytes();
        array.pending_bytes_peak = array.pending_bytes_peak.max(pending);
        let Some(limit) = array.back_pressure.limit_bytes else { return Ok(()) };
        if pending <= limit {
            return Ok(());
        }
        let start = std::time::Instant::now();
        while array.sink.pending_bytes() > limit {
            if start.elapsed() >= array.back_pressure.wait_max {
                tracing::warn!(
                    pending_bytes = array.sink.pending_bytes(),
                    limit_bytes = limit,
                    waited_ms = start.elapsed().as_millis() as u64,
                    "the sink is slower than the input; going on"
                );
                break;
            }
            if let Some(error) = array.sink.error() {
                return Err(array.latch(error));
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.edges.stalls.add_back_pressure(start.elapsed());
        Ok(())
    }
}

fn lost() -> Error {
    Error::DeviceFailed { operation: "flush".into(), reason: "a batch was not delivered".into() }
}
