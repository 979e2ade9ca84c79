//! The inbox of a core: tasks directed at it, linked through their slots. Anybody pushes, the core's owner takes all.

use crate::id::SlotIndex;
use crate::slot::SlotTable;
use crate::sync::{AtomicU32, Ordering};

const EMPTY: u32 = 0;

/// A list of directed tasks.
#[derive(Debug)]
pub struct Inbox(AtomicU32);

impl Inbox {
    pub(crate) fn new() -> Self {
        Inbox(AtomicU32::new(EMPTY))
    }

    /// Appends a task.
    ///
    /// # Safety
    /// The caller made the task ready and nobody else has it.
    pub(crate) unsafe fn push(&self, slots: &SlotTable, slot: SlotIndex) {
        let mut head = self.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: by contract this thread alone has the task.
            unsafe { slots.get(slot).set_next_directed(head) };
            let success =
                if cfg!(prewire_mutation = "inbox_push_relaxed") { Ordering::Relaxed } else { Ordering::Release };
            match self.0.compare_exchange_weak(head, slot.0 + 1, success, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Whether there is nothing in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == EMPTY
    }

    /// Takes all tasks, newest first. Links are read before a task is handed out.
    pub fn take_all(&self, slots: &SlotTable, mut each: impl FnMut(SlotIndex)) {
        let order = if cfg!(prewire_mutation = "inbox_take_relaxed") { Ordering::Relaxed } else { Ordering::Acquire };
        let mut link = self.0.swap(EMPTY, order);
        while link != EMPTY {
            let slot = SlotIndex(link - 1);
            // SAFETY: the task was published by its push and nobody else has it.
            link = unsafe { slots.get(slot).extra() }.next_directed;
            each(slot);
        }
    }
}
