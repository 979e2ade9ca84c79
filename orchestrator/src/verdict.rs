//! When waiting for room is hopeless, what to say about it, and which size would do.

use crate::Orchestrator;
use crate::rings::Ring;
use crate::submit::Shortage;
use prewire_runtime_core::error::{BlockedOn, Fatal};
use prewire_runtime_core::id::TaskId;
use prewire_runtime_core::task::HEAP_ALIGNMENT_BYTES;

/// How much larger a suggested size is than what the program was seen to need: it was stopped on the way and may need more.
const HEADROOM: u64 = 4;

impl Orchestrator {
    /// A verdict on a request that no reclaim can help.
    pub(crate) fn never_fits(&self, shortage: &Shortage) -> Option<Fatal> {
        let ring = self.rings.get(self.ring);
        match *shortage {
            Shortage::Slots | Shortage::Allocations => None,
            Shortage::Heap { bytes } => {
                let capacity = ring.heap.span().capacity();
                (bytes > capacity).then(|| Fatal::HeapTooSmall {
                    ring: ring.index(),
                    requested: bytes,
                    capacity,
                    sufficient: sufficient(ring.heap.span().used() + bytes).next_multiple_of(HEAP_ALIGNMENT_BYTES),
                })
            }
            Shortage::Edges { needed, retained } => {
                (u64::from(retained) > ring.edges().capacity()).then(|| self.edge_pool_overflow(ring, needed, None))
            }
            Shortage::Index { needs } => {
                let capacity = self.index.capacity();
                (needs.entries > capacity.entries || needs.touches > capacity.touches)
                    .then(|| self.index_overflow(needs))
            }
        }
    }

    /// A verdict on a shortage that lasts as long as a scope is open, because everything in the ring is kept by it.
    pub(crate) fn structural(&self, shortage: &Shortage) -> Option<Fatal> {
        let ring = self.rings.get(self.ring);
        let kept = match *shortage {
            Shortage::Slots => ring.is_kept_whole(),
            Shortage::Allocations => ring.allocations.is_kept_whole(),
            Shortage::Heap { .. } => ring.is_heap_kept(),
            // Producers that are only waited for will end and need no edge then.
            Shortage::Edges { retained, .. } => ring.is_kept_whole() && ring.place_edges(retained.max(1)).is_none(),
            Shortage::Index { .. } => self.rings.0.iter().all(|ring| ring.live() == 0 || ring.is_kept_whole()),
        };
        kept.then(|| self.deadlock(shortage))
    }

    /// The verdict on a shortage in which nothing moves.
    pub(crate) fn timed(&self, shortage: &Shortage) -> Fatal {
        self.deadlock(shortage)
    }

    fn deadlock(&self, shortage: &Shortage) -> Fatal {
        let ring = self.rings.get(self.ring);
        let head = TaskId::new(ring.index(), ring.tail());
        match *shortage {
            Shortage::Slots => {
                self.window_deadlock(ring, ring.live(), self.blocked_on(ring, head, ring.is_kept_whole()))
            }
            Shortage::Allocations => {
                let allocations = &ring.allocations;
                let head = TaskId::allocation(ring.index(), allocations.tail());
                self.window_deadlock(ring, allocations.live(), self.blocked_on(ring, head, allocations.is_kept_whole()))
            }
            Shortage::Heap { bytes } => Fatal::HeapDeadlock {
                ring: ring.index(),
                requested: bytes,
                used: ring.heap.span().used(),
                capacity: ring.heap.span().capacity(),
                blocked: self.blocked_on(ring, ring.heap.oldest(), ring.is_heap_kept()),
                sufficient: sufficient(ring.heap.span().used() + bytes).next_multiple_of(HEAP_ALIGNMENT_BYTES),
            },
            Shortage::Edges { needed, .. } => {
                let blocked = self.blocked_on(ring, head, ring.is_kept_whole());
                self.edge_pool_overflow(ring, needed, Some(blocked))
            }
            Shortage::Index { needs } => self.index_overflow(needs),
        }
    }

    fn window_deadlock(&self, ring: &Ring, used: u64, blocked: BlockedOn) -> Fatal {
        let (ring, window) = (ring.index(), ring.window());
        let sufficient = sufficient(used + 1).next_power_of_two();
        let depth = self.scopes.depth();
        if blocked.scope_depth == Some(depth) {
            let scope = self.scopes.innermost();
            let held = if blocked.head.is_allocation() { scope.allocated } else { scope.held };
            Fatal::ScopeDeadlock { depth, ring, window, held, sufficient }
        } else {
            Fatal::WindowDeadlock { ring, used, window, blocked, sufficient }
        }
    }

    fn edge_pool_overflow(&self, ring: &Ring, needed: u32, blocked: Option<BlockedOn>) -> Fatal {
        let (needed, used) = (u64::from(needed), ring.edges().used());
        Fatal::EdgePoolOverflow {
            ring: ring.index(),
            needed,
            used,
            capacity: ring.edges().capacity(),
            blocked,
            sufficient: sufficient(used + needed),
        }
    }

    fn index_overflow(&self, needs: crate::index::Room) -> Fatal {
        let (used, capacity) = (self.index.in_use(), self.index.capacity());
        let entries = (used.entries + needs.entries) as u64;
        // Readers of few regions may use up the other resource first, which grows with the same setting.
        let per_entry = (capacity.touches / capacity.entries.max(1)).max(1);
        let touches = ((used.touches + needs.touches) / per_entry) as u64;
        Fatal::IndexOverflow {
            needed: needs.entries as u64,
            used: used.entries as u64,
            capacity: capacity.entries as u64,
            sufficient: sufficient(entries.max(touches)),
        }
    }

    fn blocked_on(&self, ring: &Ring, head: TaskId, kept: bool) -> BlockedOn {
        let scope_depth = if kept { self.scopes.depth_of_mark(ring.index(), head.is_allocation()) } else { None };
        BlockedOn { head, scope_depth }
    }
}

fn sufficient(needed: u64) -> u64 {
    needed.saturating_mul(HEADROOM)
}
