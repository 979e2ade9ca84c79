//! Phase 1: what must come first.

use super::{Crowd, Marks, Probe, Seen, Sequential};
use crate::index::entry::Entry;
use crate::index::hazards::{Access, Findings, Found, Hazard};
use crate::index::pool::{NONE, Pool};
use crate::index::store::{Met, Place, Sight};
use crate::index::touches::Touches;
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::task::Argument;
use prewire_runtime_core::tensor::Tensor;

const TOO_MANY: &str = "more tensors in one task than the index was built for";

impl Sequential {
    #[inline(always)]
    pub(in crate::index) fn probe(
        &mut self,
        tensor: &Tensor,
        access: Access,
        argument: usize,
        findings: &mut impl Findings,
    ) {
        let geometry = self.store.geometries.intern(tensor);
        if geometry == NONE {
            return;
        }
        let start = tensor.key_start();
        let root = self.store.roots.find(tensor.buffer());
        if root == NONE {
            let base = if tensor.buffer().is_external() { tensor.address() } else { 0 };
            let version = self.rootless.len() as u32;
            self.rootless.push((tensor.buffer(), base));
            let place = Place { root, start, geometry };
            self.note(Probe { place, version, entry: NONE, marks: Marks::of(access, false) });
        } else {
            self.probe_in_root(Place { root, start, geometry }, access, argument, findings);
        }
    }

    /// As [`Sequential::probe`], for the first of some arguments, as far as their kinds are known.
    #[inline(always)]
    pub(in crate::index) fn probe_known(
        &mut self,
        arguments: &[Argument<'_>],
        first: usize,
        predicated: bool,
        findings: &mut impl Findings,
    ) -> usize {
        for (number, argument) in arguments.iter().enumerate() {
            let known = Access::of(argument, predicated)
                .and_then(|(tensor, access)| Some((self.siblings.of(tensor)?.place(tensor), tensor, access)))
                .filter(|(place, tensor, _)| self.store.roots[place.root].buffer == tensor.buffer());
            let Some((place, _, access)) = known else { return number };
            self.probe_in_root(place, access, first + number, findings);
        }
        arguments.len()
    }

    #[inline(always)]
    fn probe_in_root(&mut self, place: Place, access: Access, argument: usize, findings: &mut impl Findings) {
        self.near.clear();
        let Sight { exact: entry, corner } = self.store.look(place, access != Access::Read, &mut self.near);
        let mut marks = Marks::of(access, corner.is_some());
        if entry != NONE {
            Self::report((&self.touches, &self.causes), &self.store.entries[entry], true, access, argument, findings);
        }
        for near in &self.near {
            marks.0 |= if near.covered { Marks::COVERS } else { 0 };
            Self::report(
                (&self.touches, &self.causes),
                &self.store.entries[near.entry],
                near.covered,
                access,
                argument,
                findings,
            );
        }
        self.note(Probe { place, version: self.store.roots[place.root].version, entry, marks });
    }

    /// Finds or makes the entries of a whole task's arguments, if all their kinds are known, none takes a search, and there is room. False if not: the task is then
    /// to be abandoned, or looked up otherwise from the beginning.
    #[inline(always)]
    pub(in crate::index) fn meet(&mut self, arguments: &[Argument<'_>], findings: &mut impl Findings) -> bool {
        if arguments.len() > self.touches.free() {
            return false;
        }
        for (number, argument) in arguments.iter().enumerate() {
            // One look for each access, in which it is a constant.
            let met = match *argument {
                Argument::Input(tensor) => self.meet_one(tensor, Access::Read, number, findings),
                Argument::OutputExisting(tensor) => self.meet_one(tensor, Access::Overwrite, number, findings),
                Argument::InOut(tensor) => self.meet_one(tensor, Access::Update, number, findings),
                Argument::NoDependency(_) | Argument::Output(_) => false,
            };
            if !met {
                return false;
            }
        }
        true
    }

    #[inline(always)]
    fn meet_one(&mut self, tensor: &Tensor, access: Access, argument: usize, findings: &mut impl Findings) -> bool {
        let Some(kind) = self.siblings.of(tensor) else { return false };
        let Some(Met { entry, fresh }) = self.store.meet(kind.place(tensor), tensor.buffer()) else { return false };
        if !fresh {
            Self::report((&self.touches, &self.causes), &self.store.entries[entry], true, access, argument, findings);
        }
        assert!(self.seen.len() < self.seen.capacity(), "{TOO_MANY}");
        self.seen.push(Seen { entry, writes: access != Access::Read, fresh });
        true
    }

    /// Remembers the kind of a tensor that was probed for the pending task.
    pub(in crate::index) fn remember(&mut self, tensor: &Tensor) {
        let geometry = self.store.geometries.intern(tensor);
        let root = self.store.roots.find(tensor.buffer());
        if geometry == NONE || root == NONE {
            return;
        }
        self.store.geometries.hold(geometry);
        let old = self.siblings.remember(tensor, geometry, root);
        if old != NONE {
            self.store.geometries.drop_later(old);
        }
    }

    pub(in crate::index) fn forget_known(&mut self) {
        self.siblings.forget(|geometry| self.store.geometries.drop(geometry));
    }

    #[inline(always)]
    fn note(&mut self, probe: Probe) {
        assert!(self.probes.len() < self.probes.capacity(), "{TOO_MANY}");
        self.probes.push(probe);
    }

    #[inline(always)]
    fn report(
        (touches, causes): (&Touches, &Pool<u64>),
        listed: &Entry,
        covered: bool,
        access: Access,
        argument: usize,
        findings: &mut impl Findings,
    ) {
        let overwritten = covered && access == Access::Overwrite;
        if access != Access::Read {
            Self::report_readers(touches, listed, argument, findings);
        }
        // The readers waited for the writer, so that an overwrite that waits for them need not.
        if listed.writer != NONE && !(overwritten && listed.readers != NONE) {
            let hazard = if access == Access::Overwrite { Hazard::WriteAfterWrite } else { Hazard::ReadAfterWrite };
            findings.found(Found { producer: SlotIndex(listed.writer), hazard, data: !overwritten, argument });
        }
        if listed.failed != NONE && !overwritten {
            findings.failed(causes[listed.failed], argument);
        }
    }

    #[inline]
    fn report_readers(touches: &Touches, listed: &Entry, argument: usize, findings: &mut impl Findings) {
        let mut reader = listed.readers;
        while reader != NONE {
            let touch = touches.get(reader);
            let producer = SlotIndex(touch.slot);
            findings.found(Found { producer, hazard: Hazard::WriteAfterRead, data: false, argument });
            reader = touch.next;
        }
    }

    pub(in crate::index) fn probe_join(&mut self, crowd: Crowd, findings: &mut impl Findings) {
        let listed = &self.store.entries[crowd.entry];
        let root = &self.store.roots[listed.root];
        let place = Place { root: listed.root, start: listed.start, geometry: listed.geometry };
        let probe = Probe { place, version: root.version, entry: crowd.entry, marks: Marks(Marks::JOINS) };
        Self::report_readers(&self.touches, listed, 0, findings);
        self.probes.push(probe);
    }
}
