//! Phase 1: what must come first.

use super::{Crowd, Probe, Sequential};
use crate::index::entry::{Entry, NOT_FAILED};
use crate::index::hazards::{Access, Findings, Found, Hazard};
use crate::index::pool::NONE;
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::tensor::Tensor;

impl Sequential {
    #[inline(always)]
    pub(in crate::index) fn prefetch(&self, tensor: &Tensor) {
        if let Some(root) = self.store.roots.found_last(tensor.buffer()) {
            self.store.prefetch(root, tensor.key_start());
        }
    }

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
        let base = if tensor.buffer().is_external() { tensor.address() } else { 0 };
        let root = self.store.roots.find(tensor.buffer());
        let mut probe = Probe {
            buffer: tensor.buffer(),
            base,
            start,
            geometry,
            root,
            version: 0,
            entry: NONE,
            access,
            covers: false,
            at_corner: false,
            joins: false,
        };
        if root != NONE {
            probe.version = self.store.roots[root].version;
            self.near.clear();
            let sight = self.store.look(probe.wanted(), &mut self.near);
            (probe.entry, probe.at_corner) = (sight.exact, sight.at_corner);
            if probe.entry != NONE {
                self.report(probe.entry, true, access, argument, findings);
            }
            for place in 0..self.near.len() {
                let near = self.near[place];
                probe.covers |= near.covered;
                self.report(near.entry, near.covered, access, argument, findings);
            }
        }
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
            let touch = &self.touches[reader];
            let producer = SlotIndex(touch.slot);
            findings.found(Found { producer, hazard: Hazard::WriteAfterRead, data: false, argument });
            reader = touch.next;
        }
    }

    pub(in crate::index) fn probe_join(&mut self, crowd: Crowd, findings: &mut impl Findings) {
        let listed = &self.store.entries[crowd.entry];
        let root = &self.store.roots[listed.root];
        let probe = Probe {
            buffer: root.buffer,
            base: root.base,
            start: listed.start,
            geometry: listed.geometry,
            root: listed.root,
            version: root.version,
            entry: crowd.entry,
            access: Access::Read,
            covers: false,
            at_corner: false,
            joins: true,
        };
        self.report_readers(listed, 0, findings);
        self.probes.push(probe);
    }
}
