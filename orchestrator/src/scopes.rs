//! The scopes that are open. Opening and closing one touches no slot: a ring remembers the oldest byte-owning task of any open scope, and a scope
//! that set this mark takes it back when it closes (architecture D4).

use prewire_runtime_core::id::RingIndex;
use prewire_runtime_core::task::MAX_SCOPE_DEPTH;

/// What a scope infers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScopeMode {
    /// Dependencies follow from the arguments.
    #[default]
    Automatic,
    /// The user names every dependency. What is written inside is visible to later tasks of automatic scopes.
    Manual,
}

/// An open scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// Its number: the depth in the low bits, how many scopes were opened before it above.
    pub(crate) serial: u64,
    pub(crate) ring: RingIndex,
    /// Whether it or a scope around it is manual.
    pub(crate) manual: bool,
    /// Whether the ring's mark is this scope's first byte-owning task.
    pub(crate) set_mark: bool,
    /// Whether the mark of the ring's allocations is this scope's first one.
    pub(crate) set_allocation_mark: bool,
    /// Byte-owning tasks submitted directly in it.
    pub(crate) held: u64,
    /// Allocations made directly in it.
    pub(crate) allocated: u64,
}

/// Serial numbers carry the depth in this many bits. The root and 64 scopes in it need 65 depths.
const DEPTH_BITS: u32 = 7;
const _: () = assert!(MAX_SCOPE_DEPTH < 1 << DEPTH_BITS);

/// The stack of open scopes. The root scope is always open during a run.
#[derive(Debug)]
pub(crate) struct Scopes {
    open: [Scope; MAX_SCOPE_DEPTH + 1],
    depth: usize,
    opened: u64,
}

impl Scopes {
    pub(crate) fn new() -> Self {
        let none = Scope {
            serial: u64::MAX,
            ring: RingIndex::of_depth(0),
            manual: false,
            set_mark: false,
            set_allocation_mark: false,
            held: 0,
            allocated: 0,
        };
        let mut scopes = Scopes { open: [none; MAX_SCOPE_DEPTH + 1], depth: 0, opened: 0 };
        scopes.restart();
        scopes
    }

    /// Closes everything and opens a new root: no handle of before is valid.
    pub(crate) fn restart(&mut self) {
        self.put(0, false);
    }

    fn put(&mut self, depth: usize, manual: bool) {
        self.depth = depth;
        // Never 0, which stands for memory that dies with no scope.
        self.opened += 1;
        self.open[depth] = Scope {
            serial: self.opened << DEPTH_BITS | depth as u64,
            ring: RingIndex::of_depth(depth),
            manual,
            set_mark: false,
            set_allocation_mark: false,
            held: 0,
            allocated: 0,
        };
    }

    /// The depth of the innermost scope; the root has depth 0.
    #[inline]
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    #[inline]
    pub(crate) fn innermost(&self) -> &Scope {
        &self.open[self.depth]
    }

    #[inline]
    pub(crate) fn innermost_mut(&mut self) -> &mut Scope {
        &mut self.open[self.depth]
    }

    /// Opens a scope. The caller has checked the depth and the mode.
    pub(crate) fn open(&mut self, manual: bool) {
        let manual = manual || self.innermost().manual;
        self.put(self.depth + 1, manual);
    }

    /// Closes the innermost scope, which is not the root.
    pub(crate) fn close(&mut self) -> Scope {
        let closed = self.open[self.depth];
        self.open[self.depth].serial = u64::MAX;
        self.depth -= 1;
        closed
    }

    /// Whether the scope with this number is open.
    #[inline]
    pub(crate) fn is_open(&self, serial: u64) -> bool {
        let depth = (serial & ((1 << DEPTH_BITS) - 1)) as usize;
        depth <= self.depth && self.open[depth].serial == serial
    }

    /// The depth of the scope whose task, or allocation, is the mark of a ring.
    pub(crate) fn depth_of_mark(&self, ring: RingIndex, allocation: bool) -> Option<usize> {
        self.open[..=self.depth]
            .iter()
            .position(|scope| scope.ring == ring && if allocation { scope.set_allocation_mark } else { scope.set_mark })
    }
}
