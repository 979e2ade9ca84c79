//! What failed tasks should have written and did not: regions, each as it was declared, that stay lost until one task overwrites all of them.

use std::collections::BTreeSet;

/// Elements of a buffer.
pub(crate) type Places = BTreeSet<usize>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Lost(Vec<Region>);

#[derive(Clone, Debug)]
struct Region {
    buffer: usize,
    places: Places,
    /// The task that failed first.
    cause: usize,
    /// Whether the task that should have written it also brought the buffer into being.
    created: bool,
}

impl Lost {
    /// A region's writer did not write.
    pub(crate) fn lose(&mut self, buffer: usize, places: Places, cause: usize, created: bool) {
        self.0.push(Region { buffer, places, cause, created });
    }

    /// The earliest cause for which something of these places is lost.
    pub(crate) fn within(&self, buffer: usize, places: &Places) -> Option<usize> {
        self.in_buffer(buffer).filter(|region| !region.places.is_disjoint(places)).map(|region| region.cause).min()
    }

    /// The same for a task that overwrites the places: what it overwrites whole does not concern it.
    pub(crate) fn beyond(&self, buffer: usize, places: &Places) -> Option<usize> {
        let partly = |region: &&Region| !region.places.is_disjoint(places) && !region.places.is_subset(places);
        self.in_buffer(buffer).filter(partly).map(|region| region.cause).min()
    }

    /// The cause for which the buffer's creator did not run, if nobody has overwritten all of it since.
    pub(crate) fn created(&self, buffer: usize) -> Option<usize> {
        self.in_buffer(buffer).find(|region| region.created).map(|region| region.cause)
    }

    /// These places are written again, by a task that needs nothing of what was there.
    pub(crate) fn overwrite(&mut self, buffer: usize, places: &Places) {
        self.0.retain(|region| region.buffer != buffer || !region.places.is_subset(places));
    }

    fn in_buffer(&self, buffer: usize) -> impl Iterator<Item = &Region> {
        self.0.iter().filter(move |region| region.buffer == buffer)
    }
}
