//! Inference of every hazard, for any overlap.
//!
//! An entry stands for a region: its last writer and the readers since. A new writer of a region takes the place of its writer and
//! readers, and of every entry that it covers: whoever meets one of those later meets the new writer too, which waited for
//! them. Partial overlaps leave both entries in place. An entry goes when the last task that it names is retired, unless that
//! was a writer that failed: then the entry stays as a mark until the region is overwritten or its buffer is gone.

mod enter;
mod look_up;
mod retire;

use crate::index::hazards::{Access, IndexOptions, Room};
use crate::index::pool::{NONE, Pool};
use crate::index::siblings::Siblings;
use crate::index::store::{Near, Place, Store};
use crate::index::touches::Touches;
use prewire_runtime_core::id::BufferId;

/// A region with so many readers that a later writer would need as many edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowd {
    entry: u32,
}

/// What phase 1 remembers of an argument.
#[derive(Clone, Copy, Debug)]
struct Probe {
    /// The root is [`NONE`] for a buffer that had none.
    place: Place,
    /// The root's version when it was looked at; the place among the rootless if there is no root.
    version: u32,
    /// The entry of exactly this region.
    entry: u32,
    marks: Marks,
}

/// What else there is to say of a probe, in one word, which is stored at once.
#[derive(Clone, Copy, Debug)]
struct Marks(u32);

impl Marks {
    /// The task writes the region.
    const WRITES: u32 = 1;
    /// The region covers entries of others.
    const COVERS: u32 = 2;
    /// The region fills an empty cell, as the store saw it.
    const AT_CORNER: u32 = 4;
    /// The readers of the entry are to be replaced by this one.
    const JOINS: u32 = 8;

    /// Those of an access to a region.
    #[inline(always)]
    fn of(access: Access, at_corner: bool) -> Marks {
        let writes = if access == Access::Read { 0 } else { Self::WRITES };
        Marks(writes | if at_corner { Self::AT_CORNER } else { 0 })
    }

    #[inline(always)]
    fn has(self, mark: u32) -> bool {
        self.0 & mark != 0
    }
}

/// What phase 1 remembers of an argument that took no search: its region's entry, which is there by now.
#[derive(Clone, Copy, Debug)]
struct Seen {
    entry: u32,
    writes: bool,
    /// The entry was made for the pending task. It goes with it if that is abandoned.
    fresh: bool,
}

#[derive(Debug)]
pub(super) struct Sequential {
    store: Store,
    siblings: Siblings,
    touches: Touches,
    /// What is pending: one of the two.
    seen: Vec<Seen>,
    probes: Vec<Probe>,
    /// The buffers probed that had no root, and the keys of their first bytes.
    rootless: Vec<(BufferId, u64)>,
    near: Vec<Near>,
    crowds: Vec<Crowd>,
    /// What the writers of entries retired with that failed.
    causes: Pool<u64>,
    /// A slot or a buffer went since the probes were made, which may have taken what they name.
    stale: bool,
}

impl Sequential {
    pub(super) fn new(options: &IndexOptions) -> Sequential {
        Sequential {
            store: Store::new(options.entries, options.arguments),
            siblings: Siblings::new(),
            touches: Touches::new(options.touches, options.slots),
            seen: Vec::with_capacity(options.arguments),
            probes: Vec::with_capacity(options.arguments),
            rootless: Vec::with_capacity(options.arguments),
            near: Vec::with_capacity(options.entries),
            crowds: Vec::with_capacity(options.arguments),
            causes: Pool::new(options.entries),
            stale: false,
        }
    }

    #[inline]
    pub(super) fn begin(&mut self) {
        if !self.seen.is_empty() {
            self.abandon_seen();
        }
        self.probes.clear();
        self.rootless.clear();
        self.crowds.clear();
        self.stale = false;
        self.store.geometries.begin();
    }

    /// Takes back the entries that were made for a task which does not come.
    #[cold]
    fn abandon_seen(&mut self) {
        while let Some(Seen { entry, fresh, .. }) = self.seen.pop() {
            if fresh {
                self.store.remove(entry);
            }
        }
    }

    #[inline(always)]
    pub(super) fn needs_at_most(&self) -> Room {
        Room { entries: self.probes.len(), touches: self.seen.len() + self.probes.len() }
    }

    pub(super) fn needs(&self) -> Room {
        let entries = self.probes.iter().filter(|probe| probe.entry == NONE).count();
        Room { entries, touches: self.seen.len() + self.probes.len() }
    }

    pub(super) fn clear(&mut self) {
        self.seen.clear();
        self.probes.clear();
        self.crowds.clear();
        self.siblings.forget(|_| ());
        self.store.clear();
        self.touches.clear();
        self.causes.clear();
    }

    pub(super) fn capacity(&self) -> Room {
        Room { entries: self.store.entries.capacity(), touches: self.touches.capacity() }
    }

    pub(super) fn in_use(&self) -> Room {
        Room { entries: self.store.entries.in_use(), touches: self.touches.in_use() }
    }

    pub(super) fn peak(&self) -> Room {
        Room { entries: self.store.entries.peak(), touches: self.touches.peak() }
    }

    #[cfg(test)]
    pub(super) fn compared(&self) -> usize {
        self.store.compared.count.get()
    }
}
