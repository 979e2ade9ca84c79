//! Phase 1: what must come first.

use super::{Crowd, Marks, Probe, Sequential};
use crate::index::entry::{Entry, NOT_FAILED};
use crate::index::hazards::{Access, Findings, Found, Hazard};
use crate::index::pool::NONE;
use crate::index::store::{Sight, Wanted};
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::task::Argument;
use prewire_runtime_core::tensor::Tensor;

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
        let mut probe = Probe { start, geometry, root, version: 0, entry: NONE, marks: Marks::of(access, false) };
        if root == NONE {
            let base = if tensor.buffer().is_external() { tensor.address() } else { 0 };
            probe.version = self.rootless.len() as u32;
            self.rootless.push((tensor.buffer(), base));
        } else {
            probe.version = self.store.roots[root].version;
            self.near.clear();
            let sight = self.store.look(probe.wanted(), &mut self.near);
            (probe.entry, probe.marks) = (sight.exact, Marks::of(access, sight.at_corner));
            if probe.entry != NONE {
                self.report(probe.entry, true, access, argument, findings);
            }
            for place in 0..self.near.len() {
                let near = self.near[place];
                probe.marks.0 |= if near.covered { Marks::COVERS } else { 0 };
                self.report(near.entry, near.covered, access, argument, findings);
            }
        }
        self.note(probe);
    }

    /// As [`Sequential::probe`], for the first of some arguments, as far as their kinds are known and their regions are found without a search.
    #[inline(always)]
    pub(in crate::index) fn probe_known(
        &mut self,
        arguments: &[Argument<'_>],
        first: usize,
        predicated: bool,
        findings: &mut impl Findings,
    ) -> usize {
        for (place, argument) in arguments.iter().enumerate() {
            let number = first + place;
            // One look for each access, in which it is a constant.
            let known = match *argument {
                Argument::Input(tensor) => self.probe_sibling(tensor, Access::Read, number, findings),
                Argument::OutputExisting(tensor) if !predicated => {
                    self.probe_sibling(tensor, Access::Overwrite, number, findings)
                }
                Argument::InOut(tensor) | Argument::OutputExisting(tensor) => {
                    self.probe_sibling(tensor, Access::Update, number, findings)
                }
                Argument::NoDependency(_) | Argument::Output(_) => false,
            };
            if !known {
                return place;
            }
        }
        arguments.len()
    }

    #[inline(always)]
    fn probe_sibling(
        &mut self,
        tensor: &Tensor,
        access: Access,
        argument: usize,
        findings: &mut impl Findings,
    ) -> bool {
        let Some(kind) = self.siblings.of(tensor) else { return false };
        let (root, geometry, start) = (kind.root, kind.geometry, kind.key_start(tensor));
        let record = &self.store.roots[root];
        if record.buffer != tensor.buffer() {
            return false;
        }
        let version = record.version;
        let wanted = Wanted { root, start, geometry, writes: access != Access::Read };
        let Some(Sight { exact: entry, at_corner }) = self.store.glance(wanted) else { return false };
        if entry != NONE {
            self.report(entry, true, access, argument, findings);
        }
        let probe = Probe { start, geometry, root, version, entry, marks: Marks::of(access, at_corner) };
        self.note(probe);
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
        assert!(self.probes.len() < self.probes.capacity(), "more tensors in one task than the index was built for");
        self.probes.push(probe);
    }

    #[inline(always)]
    fn report(&self, entry: u32, covered: bool, access: Access, argument: usize, findings: &mut impl Findings) {
        let listed = &self.store.entries[entry];
        let overwritten = covered && access == Access::Overwrite;
        if access != Access::Read {
            self.report_readers(listed, argument, findings);
        }
        // The readers waited for the writer, so that an overwrite that waits for them need not.
        if listed.writer != NONE && !(overwritten && listed.readers != NONE) {
            let hazard = if access == Access::Overwrite { Hazard::WriteAfterWrite } else { Hazard::ReadAfterWrite };
            findings.found(Found { producer: SlotIndex(listed.writer), hazard, data: !overwritten, argument });
        }
        if listed.failed != NOT_FAILED && !overwritten {
            findings.failed(listed.failed, argument);
        }
    }

    #[inline]
    fn report_readers(&self, listed: &Entry, argument: usize, findings: &mut impl Findings) {
        let mut reader = listed.readers;
        while reader != NONE {
            let touch = self.touches.get(reader);
            let producer = SlotIndex(touch.slot);
            findings.found(Found { producer, hazard: Hazard::WriteAfterRead, data: false, argument });
            reader = touch.next;
        }
    }

    pub(in crate::index) fn probe_join(&mut self, crowd: Crowd, findings: &mut impl Findings) {
        let listed = &self.store.entries[crowd.entry];
        let root = &self.store.roots[listed.root];
        let probe = Probe {
            start: listed.start,
            geometry: listed.geometry,
            root: listed.root,
            version: root.version,
            entry: crowd.entry,
            marks: Marks(Marks::JOINS),
        };
        self.report_readers(listed, 0, findings);
        self.probes.push(probe);
    }
}
