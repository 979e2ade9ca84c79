//! The tail gate: aggregation of kick k waits for k publications, because it reads tails that the host uploads while it
//! delivers the batch before.
//!
//! Arming makes a [`KickToken`]; whatever happens to the kick, dropping the token publishes its generation, exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::device::{CounterId, Device, DeviceError, Label, StreamId};
use crate::edges::{Edge, Edges, Mutation};

/// One array's gate.
#[derive(Debug)]
pub(crate) struct Gate {
    device: Arc<dyn Device>,
    /// `None` where no stream waits: an unaligned sink, a device without value waits, or the gate forced off.
    counter: Option<CounterId>,
    armed: AtomicU64,
    published: AtomicU64,
    twice: bool,
    never: bool,
}

const LABEL: Label = Label::new("TAIL_PUBLISHED", 0);

impl Gate {
    /// Makes the gate of an array. `wanted`: the array has the engine to itself and its sink carries tails; `forced_off`: the
    /// device is to be taken for one that cannot wait on values.
    ///
    /// # Errors
    /// The device fails otherwise than by not supporting it.
    pub(crate) fn create(
        device: &Arc<dyn Device>,
        probe: StreamId,
        wanted: bool,
        forced_off: bool,
        edges: &Edges,
    ) -> Result<Arc<Self>, DeviceError> {
        let counter = if wanted && !forced_off { Self::probe(device.as_ref(), probe)? } else { None };
        let mutations = &edges.mutations;
        Ok(Arc::new(Self {
            device: Arc::clone(device),
            counter,
            armed: AtomicU64::new(0),
            published: AtomicU64::new(0),
            twice: mutations.has(Mutation::PublishTwice),
            never: mutations.has(Mutation::PublishNever),
        }))
    }

    /// Creates the counter and queues a wait that it already satisfies.
    fn probe(device: &dyn Device, stream: StreamId) -> Result<Option<CounterId>, DeviceError> {
        let counter = match device.create_counter(LABEL) {
            Ok(counter) => counter,
            Err(DeviceError::Unsupported(what)) => {
                tracing::warn!("no {what} on this device: batches are drained before the next kick");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match device.wait_counter(stream, counter, 0, Label::new("PROBE", 0)) {
            Ok(()) => Ok(Some(counter)),
            Err(DeviceError::Unsupported(what)) => {
                tracing::warn!("no {what} on this device: batches are drained before the next kick");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether streams wait at this gate.
    pub(crate) fn is_supported(&self) -> bool {
        self.counter.is_some()
    }

    /// Takes the next generation. The token exists before anything of its kick can fail.
    pub(crate) fn arm(self: &Arc<Self>) -> KickToken {
        let threshold = self.armed.fetch_add(1, Ordering::Relaxed);
        KickToken { gate: Arc::clone(self), threshold }
    }

    /// Kicks armed so far.
    pub(crate) fn armed(&self) -> u64 {
        self.armed.load(Ordering::Relaxed)
    }

    /// Generations published so far.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Opens the gate for every kick armed so far: the backstop for a token that was leaked. Never more than that, because the
    /// device compares modulo 2⁶⁴.
    pub(crate) fn release_all(&self) {
        let armed = self.armed();
        if let Some(counter) = self.counter
            && self.published() < armed
        {
            self.device.publish(counter, armed, Label::new("RELEASE_ALL", 0));
        }
    }

    fn publish(&self) {
        if self.never {
            return;
        }
        let published = self.published.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(counter) = self.counter {
            self.device.publish(counter, published, LABEL);
            if self.twice {
                self.published.fetch_add(1, Ordering::Relaxed);
                self.device.publish(counter, published + 1, LABEL);
            }
        }
    }
}

/// The obligation of one kick: exactly one drain or abort consumes it, and that publishes its generation.
#[must_use = "a kick's token is consumed by its drain or its abort"]
#[derive(Debug)]
pub(crate) struct KickToken {
    gate: Arc<Gate>,
    threshold: u64,
}

impl KickToken {
    /// Makes aggregation on the compress stream wait for the tails of the batch before. Queues nothing where no stream waits or
    /// the batch is empty; its generation counts all the same.
    pub(crate) fn wait(&self, edges: &Edges, compress: StreamId, batch_has_chunks: bool) -> Result<(), DeviceError> {
        let Some(counter) = self.gate.counter else { return Ok(()) };
        if !batch_has_chunks {
            return Ok(());
        }
        edges.count(Edge::TailPublished, false);
        if edges.mutations.has(Mutation::GateNotArmed) || edges.mutations.has(Mutation::DropWait(Edge::TailPublished)) {
            return Ok(());
        }
        self.gate.device.wait_counter(compress, counter, self.threshold, LABEL)
    }

    /// Publishes the generation now.
    pub(crate) fn consume(self, edges: &Edges) {
        if self.gate.counter.is_some() {
            edges.count(Edge::TailPublished, true);
        }
        drop(self);
    }
}

impl Drop for KickToken {
    fn drop(&mut self) {
        self.gate.publish();
    }
}
