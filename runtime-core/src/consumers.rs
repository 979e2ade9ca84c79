//! The consumer list of a producer: one atomic word that is a link or says that the producer is done, and how.
//!
//! The orchestrator, alone, pushes an edge; completion closes the list with one swap and then owns all of it. A push that meets a closed list has
//! its answer: the producer is done. There is no third outcome and no lock (architecture D2).

use crate::edge::{Edge, EdgeBody, EdgeTable};
use crate::id::EdgeIndex;
use crate::sync::{AtomicU32, Ordering};

/// The word of an empty, open list.
const EMPTY: u32 = 0;
/// The producer has completed.
const CLOSED_OK: u32 = u32::MAX;
/// The producer has failed, or was retired unrun because something before it failed.
const CLOSED_FAILED: u32 = u32::MAX - 1;

/// How a producer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It did what it was to do.
    Ok,
    /// It failed or was never run; its slot's cause says why.
    Failed,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// The edge is on the list; the closer will release its consumer.
    Linked,
    /// The producer is done; nobody will look at the edge.
    Closed(Ending),
}

/// The consumer list.
#[derive(Debug)]
#[repr(transparent)]
pub struct ConsumerList(AtomicU32);

impl ConsumerList {
    /// A list that is closed, as of a task that does not exist yet.
    pub(crate) fn closed() -> Self {
        ConsumerList(AtomicU32::new(CLOSED_OK))
    }

    /// Opens the list of a task that is being built.
    ///
    /// Relaxed: nobody else can see the task, and what publishes it (the pending count, the ready queue, the next push) is a release.
    #[inline]
    pub fn open(&self) {
        self.0.store(EMPTY, Ordering::Relaxed);
    }

    /// Closes the list of a task that never becomes visible as running, such as an allocation.
    #[inline]
    pub fn close_unseen(&self, ending: Ending) {
        self.0.store(word_of(ending), Ordering::Release);
    }

    /// How the producer ended, if it has. An answer makes everything the producer wrote visible.
    #[inline]
    pub fn ending(&self) -> Option<Ending> {
        ending_of(self.0.load(Ordering::Acquire))
    }

    /// Puts `edge` on the list, unless the producer is done.
    ///
    /// A single thread pushes, the exchange is strong, and failing it is an acquire: whoever closed the list has written the producer's results
    /// before, and the consumer is going to read them.
    ///
    /// # Safety
    /// Only the orchestrator, with an edge that it has written and that is on no list.
    #[inline]
    pub unsafe fn push(&self, edges: &EdgeTable, edge: EdgeIndex) -> Pushed {
        // SAFETY: by contract.
        unsafe { self.push_at(edges.get(edge), edge) }
    }

    /// As [`ConsumerList::push`], for a caller that has found the edge's place already.
    ///
    /// # Safety
    /// As there; `place` is the place of `edge`.
    #[inline]
    pub(crate) unsafe fn push_at(&self, place: &Edge, edge: EdgeIndex) -> Pushed {
        let mut head = self.0.load(if cfg!(prewire_mutation = "push_relaxed_load") {
            Ordering::Relaxed
        } else {
            Ordering::Acquire
        });
        loop {
            if !cfg!(prewire_mutation = "push_ignores_closed")
                && let Some(ending) = ending_of(head)
            {
                return Pushed::Closed(ending);
            }
            // SAFETY: the edge is on no list yet.
            unsafe { place.set_next(head) };
            let success = if cfg!(prewire_mutation = "push_relaxed") { Ordering::Relaxed } else { Ordering::Release };
            let failure =
                if cfg!(prewire_mutation = "push_relaxed_failure") { Ordering::Relaxed } else { Ordering::Acquire };
            match self.0.compare_exchange(head, edge.0 + 1, success, failure) {
                Ok(_) => return Pushed::Linked,
                Err(now) => head = now,
            }
        }
    }

    /// Closes the list and takes all of it, oldest consumer first.
    ///
    /// # Safety
    /// Exactly one thread closes the list of a task, once, after the task's last block has ended.
    #[inline]
    pub unsafe fn close<'a>(&self, edges: &'a EdgeTable, ending: Ending) -> Consumers<'a> {
        let order = if cfg!(prewire_mutation = "close_relaxed") {
            Ordering::Relaxed
        } else if cfg!(prewire_mutation = "close_acquire_only") {
            Ordering::Acquire
        } else {
            Ordering::AcqRel
        };
        let mut link = self.0.swap(word_of(ending), order);
        debug_assert!(ending_of(link).is_none(), "a consumer list was closed twice");
        // The list is newest first; turning it round costs one pass and makes consumers run in the order of their submission.
        let mut oldest = link;
        if link != EMPTY {
            let newest = edges.get(EdgeIndex(link - 1));
            // SAFETY: the swap made this thread the owner of every link of the list.
            link = unsafe { newest.next() };
            // A single consumer, the usual case, is the last already.
            if link != EMPTY {
                // SAFETY: as above.
                unsafe { newest.set_next(EMPTY) };
            }
            while link != EMPTY {
                let edge = edges.get(EdgeIndex(link - 1));
                // SAFETY: as above.
                let next = unsafe { edge.next() };
                // SAFETY: as above.
                unsafe { edge.set_next(oldest) };
                oldest = link;
                link = next;
            }
        }
        Consumers {
            edges,
            link: oldest,
            #[cfg(prewire_mutation = "walk_next_after_release")]
            handed_out: false,
        }
    }
}

/// The consumers of a closed list, oldest first.
///
/// Each step reads the link before it hands the edge out: once its consumer is released the edge may be reclaimed and belong to another task.
#[derive(Debug)]
pub struct Consumers<'a> {
    edges: &'a EdgeTable,
    link: u32,
    #[cfg(prewire_mutation = "walk_next_after_release")]
    handed_out: bool,
}

impl Consumers<'_> {
    /// Whether nobody is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.link == EMPTY
    }

    /// Puts the rest of the walk aside, so that a long list may be walked in pieces.
    pub fn pause(self) -> PausedWalk {
        PausedWalk(self.link)
    }
}

/// A walk put aside; its producer must not be released before it has been resumed and finished.
#[derive(Debug)]
#[must_use]
pub struct PausedWalk(u32);

impl PausedWalk {
    /// Goes on with the walk.
    ///
    /// # Safety
    /// `edges` is the table that the list was closed with.
    pub unsafe fn resume(self, edges: &EdgeTable) -> Consumers<'_> {
        Consumers {
            edges,
            link: self.0,
            #[cfg(prewire_mutation = "walk_next_after_release")]
            handed_out: false,
        }
    }
}

impl Iterator for Consumers<'_> {
    type Item = EdgeBody;

    #[inline]
    fn next(&mut self) -> Option<EdgeBody> {
        if self.link == EMPTY {
            return None;
        }
        #[cfg(prewire_mutation = "walk_next_after_release")]
        if std::mem::replace(&mut self.handed_out, true) {
            // SAFETY: none; this is the mistake that a model must notice.
            self.link = unsafe { self.edges.get(EdgeIndex(self.link - 1)).next() };
            if self.link == EMPTY {
                return None;
            }
        }
        let edge = self.edges.get(EdgeIndex(self.link - 1));
        // SAFETY: the edge is on the list that this walk owns, and its consumer has not been released.
        let body = unsafe { edge.read() };
        #[cfg(not(prewire_mutation = "walk_next_after_release"))]
        {
            // SAFETY: as above.
            self.link = unsafe { edge.next() };
        }
        Some(body)
    }
}

#[inline]
fn word_of(ending: Ending) -> u32 {
    match ending {
        Ending::Ok => CLOSED_OK,
        Ending::Failed => CLOSED_FAILED,
    }
}

#[inline]
fn ending_of(word: u32) -> Option<Ending> {
    // One comparison for a list that is open.
    match word {
        ..CLOSED_FAILED => None,
        CLOSED_FAILED => Some(Ending::Failed),
        CLOSED_OK => Some(Ending::Ok),
    }
}
