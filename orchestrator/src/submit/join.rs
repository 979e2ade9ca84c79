//! Joins: a region with many readers gets a task that waits for them all, so that a later writer needs one edge and not one for each.

use super::look_up::Parties;
use crate::Orchestrator;

impl Orchestrator {
    /// Puts in a join for each region that the last task made crowded, as far as there is room. Without room the readers stay as they are and are
    /// offered again.
    #[inline]
    pub(crate) fn join_crowds(&mut self) {
        while let Some(crowd) = self.index.crowded() {
            self.join(crowd);
        }
    }

    #[cold]
    fn join(&mut self, crowd: crate::index::Crowd) {
        self.scratch.planned.clear();
        self.look_up_nothing();
        let Parties { index, mut producers, .. } = self.parties();
        index.probe_join(crowd, &mut producers);
        let mut plan = super::Plan::dummy();
        if self.admit_again(&mut plan).is_ok() {
            self.wire_join(&plan);
        }
    }
}
