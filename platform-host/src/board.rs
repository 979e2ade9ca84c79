//! What all workers of a runtime share besides buffers: where its schedulers sleep, which runs are over, where the members of groups meet.

use crate::mailbox::SleepWord;
use crate::shared::SharedMemory;
use prewire_runtime_core::waiting::Doorbell;
use rustix::thread::futex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

/// Parties that may sleep: a scheduler instance and the submitting thread.
const PARTIES: usize = 4;

/// Groups whose members may wait for one another at the same time.
pub const MEETINGS: usize = 128;

#[repr(C, align(64))]
#[derive(Debug)]
struct Line<T>(T);

/// Where the members of one group wait for one another.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Meeting {
    arrived: AtomicU32,
    round: AtomicU32,
    failed: AtomicU32,
}

/// The words. Zeroed memory is a board on which nothing has happened.
#[repr(C)]
#[derive(Debug)]
pub struct Board {
    /// The present run's number, shifted left by one, and whether it is cancelled.
    run: Line<AtomicU64>,
    doorbells: [Line<SleepWord>; PARTIES],
    meetings: [Meeting; MEETINGS],
}

impl Board {
    /// Whether a run has been ended, or another one has begun since.
    #[inline]
    pub fn is_over(&self, run: u32) -> bool {
        self.run.0.load(Ordering::Acquire) != u64::from(run) << 1
    }

    /// A run begins; nothing of an earlier one runs.
    pub fn begin(&self, run: u32) {
        self.run.0.store(u64::from(run) << 1, Ordering::Release);
    }

    /// Ends the run if it is the present one, and wakes those that wait for one another in it. One that waits behind it has nothing to end.
    pub fn end(&self, run: u32) {
        let open = u64::from(run) << 1;
        // A run that is over, or cancelled already, stays as it is.
        let _ = self.run.0.compare_exchange(open, open | 1, Ordering::AcqRel, Ordering::Relaxed);
        self.meetings.iter().for_each(Meeting::wake);
    }

    /// Wakes the scheduler, behind a publication.
    #[inline]
    pub fn ring_scheduler(&self) {
        self.doorbells[0].0.ring();
    }

    /// A meeting place, if there is one with this number.
    pub fn meeting(&self, index: u32) -> Option<&Meeting> {
        self.meetings.get(index as usize)
    }
}

/// How a wait for the other members ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// All have come.
    Together,
    /// A member has failed.
    SiblingFailed,
    /// The run is over.
    RunOver,
}

impl Meeting {
    /// Makes the place ready for a group. Nobody uses it.
    pub fn open(&self) {
        self.arrived.store(0, Ordering::Relaxed);
        self.failed.store(0, Ordering::Relaxed);
        self.round.store(0, Ordering::Release);
    }

    /// A member has failed: those that wait go on.
    pub fn fail(&self) {
        self.failed.store(1, Ordering::Release);
        self.wake();
    }

    /// Whether a member has failed.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire) != 0
    }

    fn wake(&self) {
        fence(Ordering::SeqCst);
        // Nobody sleeping is nothing to mend.
        let _woken = futex::wake(&self.round, futex::Flags::empty(), u32::MAX);
    }

    /// Waits until all `members` have called it as often.
    pub fn wait(&self, members: u32, is_over: impl Fn() -> bool) -> Met {
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == members {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            self.wake();
            return Met::Together;
        }
        loop {
            if self.round.load(Ordering::Acquire) != round {
                return Met::Together;
            }
            if self.has_failed() {
                return Met::SiblingFailed;
            }
            if is_over() {
                return Met::RunOver;
            }
            // The end of a run and a failure leave the word as it is, so a sleeper looks now and then in case it slept in just behind their wake.
            let nap = futex::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            let _why = futex::wait(&self.round, futex::Flags::empty(), round, Some(&nap));
        }
    }
}

/// The board, mapped.
#[derive(Clone, Debug)]
pub struct BoardMemory(Arc<SharedMemory>);

impl BoardMemory {
    /// A fresh board.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub fn create() -> io::Result<Self> {
        Ok(BoardMemory(Arc::new(SharedMemory::create("prewire-board", size_of::<Board>())?)))
    }

    /// A board that another process made.
    ///
    /// # Errors
    /// If it cannot be mapped.
    pub fn map(fd: rustix::fd::OwnedFd) -> io::Result<Self> {
        Ok(BoardMemory(Arc::new(SharedMemory::map(fd, size_of::<Board>())?)))
    }

    /// The memory, to hand to another process.
    pub fn memory(&self) -> &SharedMemory {
        &self.0
    }
}

impl std::ops::Deref for BoardMemory {
    type Target = Board;

    fn deref(&self) -> &Board {
        // SAFETY: a board is atomics only, and zeroed memory is one.
        unsafe { self.0.as_value() }
    }
}

impl Doorbell for BoardMemory {
    fn arm(&self, party: usize) {
        self.doorbells[party].0.arm();
    }

    fn doze(&self, party: usize, timeout: Duration) {
        self.doorbells[party].0.doze(Some(timeout));
    }

    fn disarm(&self, party: usize) {
        self.doorbells[party].0.disarm();
    }

    fn ring(&self, party: usize) {
        self.doorbells[party].0.ring();
    }
}
