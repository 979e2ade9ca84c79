//! The table of edges bound to a device: the only way to queue a wait or a record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Edge, EdgeKind, Mutation, Mutations, Place};
use crate::device::{Device, DeviceError, EventId, Label, StreamId, WaitOutcome};
use crate::metrics::StallMetrics;

/// The five streams of an engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Streams([StreamId; 5]);

impl Streams {
    pub(crate) fn create(device: &dyn Device) -> Result<Self, DeviceError> {
        let mut streams = [StreamId(0); 5];
        for (stream, place) in streams.iter_mut().zip(Place::STREAMS) {
            *stream = device.create_stream(place.name())?;
        }
        Ok(Self(streams))
    }

    /// The stream of a place; `None` for the host and the sink.
    pub(crate) fn of(&self, place: Place) -> Option<StreamId> {
        Place::STREAMS.iter().position(|stream| *stream == place).map(|index| self.0[index])
    }

    pub(crate) fn all(&self) -> [StreamId; 5] {
        self.0
    }
}

/// The table bound to a device: an event behind each edge that has one, and the checks of every use, in all builds.
#[derive(Debug)]
pub(crate) struct Edges {
    device: Arc<dyn Device>,
    streams: Streams,
    events: Vec<[Option<EventId>; 2]>,
    uses: Vec<Uses>,
    pub(crate) stalls: StallMetrics,
    pub(crate) mutations: Mutations,
}

#[derive(Debug, Default)]
struct Uses {
    records: AtomicU64,
    waits: AtomicU64,
}

impl Edges {
    /// Creates the events. `levels`: whether the engine computes pyramids, that is, whether `LOD_DONE` is bound.
    pub(crate) fn create(
        device: Arc<dyn Device>,
        streams: Streams,
        levels: bool,
        mutations: Mutations,
    ) -> Result<Self, DeviceError> {
        let mut events = vec![[None; 2]; Edge::table().len()];
        for descriptor in Edge::table() {
            let bound = descriptor.kind == EdgeKind::Event
                && descriptor.alias_of.is_none()
                && (levels || descriptor.edge != Edge::LodDone);
            if bound {
                for instance in 0..descriptor.instances {
                    let label = Label::new(descriptor.name, instance);
                    events[descriptor.edge as usize][instance as usize] = Some(device.create_event(label)?);
                }
            }
        }
        let uses = Edge::table().iter().map(|_| Uses::default()).collect();
        Ok(Self { device, streams, events, uses, stalls: StallMetrics::default(), mutations })
    }

    fn label(edge: Edge, instance: u32) -> Label {
        let instances = edge.descriptor().instances;
        Label::new(edge.name(), if instances == 1 { 0 } else { instance })
    }

    fn event(&self, edge: Edge, instance: u32, what: &str, place: Place) -> Result<EventId, DeviceError> {
        let label = Self::label(edge, instance);
        self.events[edge.owner() as usize][label.index as usize % 2]
            .ok_or_else(|| DeviceError::failed(format!("{what} {label} on {place}"), "the edge is not bound"))
    }

    fn stream(&self, place: Place, what: &str, label: Label) -> Result<StreamId, DeviceError> {
        self.streams
            .of(place)
            .ok_or_else(|| DeviceError::failed(format!("{what} {label} on {place}"), "that place is no stream"))
    }

    /// Records `edge` on the stream of `place`.
    pub(crate) fn record(&self, edge: Edge, instance: u32, place: Place) -> Result<(), DeviceError> {
        let (label, descriptor) = (Self::label(edge, instance), edge.descriptor());
        let refused = |reason: String| Err(DeviceError::failed(format!("record of {label} on {place}"), reason));
        if let Some(owner) = descriptor.alias_of {
            return refused(format!("it is an alias of {}, which is recorded instead", owner.name()));
        }
        if !descriptor.producers.contains(&place) {
            return refused(format!("its producer is {}", names(descriptor.producers)));
        }
        let event = self.event(edge, instance, "record of", place)?;
        let stream = self.stream(place, "record of", label)?;
        self.uses[edge as usize].records.fetch_add(1, Ordering::Relaxed);
        if self.mutations.has(Mutation::DropRecord(edge)) {
            return Ok(());
        }
        self.device.record(stream, event, label)
    }

    /// Makes the stream of `place` wait for `edge`.
    pub(crate) fn wait(&self, edge: Edge, instance: u32, place: Place) -> Result<(), DeviceError> {
        let label = Self::label(edge, instance);
        if edge.descriptor().consumer != place {
            let reason = format!("its consumer is {}", edge.descriptor().consumer);
            return Err(DeviceError::failed(format!("wait for {label} on {place}"), reason));
        }
        let event = self.event(edge, instance, "wait for", place)?;
        let stream = self.stream(place, "wait for", label)?;
        self.uses[edge as usize].waits.fetch_add(1, Ordering::Relaxed);
        if self.mutations.has(Mutation::DropWait(edge)) {
            return Ok(());
        }
        self.device.wait(stream, event, label)
    }

    /// Blocks the host until `edge`, parked; blocked time goes to the edge's stall metric.
    pub(crate) fn host_wait(&self, edge: Edge, instance: u32) -> Result<(), DeviceError> {
        let label = Self::label(edge, instance);
        if edge.descriptor().consumer != Place::Host {
            let reason = format!("its consumer is {}", edge.descriptor().consumer);
            return Err(DeviceError::failed(format!("wait for {label} on host"), reason));
        }
        let event = self.event(edge, instance, "wait for", Place::Host)?;
        self.uses[edge as usize].waits.fetch_add(1, Ordering::Relaxed);
        if self.mutations.has(Mutation::DropWait(edge)) {
            return Ok(());
        }
        let WaitOutcome { blocked } = self.device.host_wait(event, label)?;
        if let Some(blocked) = blocked {
            self.stalls.add(edge, blocked);
        }
        Ok(())
    }

    /// Counts a use of an edge that has no event: the counter or the fence.
    pub(crate) fn count(&self, edge: Edge, recorded: bool) {
        let uses = &self.uses[edge as usize];
        if recorded { &uses.records } else { &uses.waits }.fetch_add(1, Ordering::Relaxed);
    }

    /// How often each edge was recorded (its owner, for an alias) and waited for.
    #[cfg(test)]
    pub(crate) fn uses(&self) -> Vec<(Edge, u64, u64)> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let table = Edge::table().iter();
        table
            .map(|descriptor| {
                let edge = descriptor.edge;
                (edge, load(&self.uses[edge.owner() as usize].records), load(&self.uses[edge as usize].waits))
            })
            .collect()
    }

    /// Records every seeded edge once on the compute stream, so that the first wait of each passes.
    pub(crate) fn seed(&self) -> Result<(), DeviceError> {
        for descriptor in Edge::table().iter().filter(|descriptor| descriptor.seeded) {
            for instance in 0..descriptor.instances {
                if let Some(event) = self.events[descriptor.edge as usize][instance as usize] {
                    let label = Label::new(descriptor.name, instance);
                    let stream = self.stream(Place::Compute, "seed of", label)?;
                    self.device.record(stream, event, Label::new("SEED", descriptor.edge as u32))?;
                }
            }
        }
        Ok(())
    }
}

fn names(places: &[Place]) -> String {
    places.iter().map(|place| place.name()).collect::<Vec<_>>().join(" or ")
}
