//! The least that a round trip between two processes can be: a word there and a word back, spinning or asleep.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// A forked process that answers.
pub(crate) struct Peer {
    words: &'static Words,
    pid: i32,
}

#[repr(C)]
struct Words {
    asked: Line,
    answered: Line,
    /// 0: sleep; 1: spin; 2: leave.
    mode: Line,
}

#[repr(C, align(128))]
struct Line(AtomicU32);

fn wait(word: &AtomicU32, old: u32) {
    while word.load(Ordering::Acquire) == old {
        // SAFETY: the word is mapped, and no time-out is given.
        unsafe {
            libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, old, std::ptr::null::<libc::timespec>())
        };
    }
}

fn wake(word: &AtomicU32) {
    // SAFETY: the word is mapped.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}

impl Peer {
    pub(crate) fn start() -> io::Result<Peer> {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh mapping at an address of the system's choosing.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Words>(), access, flags, -1, 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: zeroed words, mapped for as long as this process lives.
        let words = unsafe { &*memory.cast::<Words>() };
        // SAFETY: the copy touches the words only, and leaves without unwinding.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let mut seen = 0;
                loop {
                    match words.mode.0.load(Ordering::Acquire) {
                        0 => wait(&words.asked.0, seen),
                        1 => {
                            while words.asked.0.load(Ordering::Acquire) == seen
                                && words.mode.0.load(Ordering::Relaxed) == 1
                            {
                                std::hint::spin_loop();
                            }
                        }
                        // SAFETY: it ends this process.
                        _ => unsafe { libc::_exit(0) },
                    }
                    let asked = words.asked.0.load(Ordering::Acquire);
                    if asked != seen {
                        seen = asked;
                        words.answered.0.store(asked, Ordering::Release);
                        if words.mode.0.load(Ordering::Relaxed) == 0 {
                            wake(&words.answered.0);
                        }
                    }
                }
            }
            pid => Ok(Peer { words, pid }),
        }
    }

    /// Asks, and waits for the answer asleep or awake.
    fn ask(&self, wake_peer: bool, asleep: bool) {
        let old = self.words.answered.0.load(Ordering::Acquire);
        self.words.asked.0.store(old.wrapping_add(1), Ordering::Release);
        if wake_peer {
            wake(&self.words.asked.0);
        }
        if asleep {
            wait(&self.words.answered.0, old);
        }
        while self.words.answered.0.load(Ordering::Acquire) == old {
            std::hint::spin_loop();
        }
    }

    /// Microseconds there and back, with both sides asleep before.
    pub(crate) fn sleeping_round_trip(&self) -> f64 {
        let begun = Instant::now();
        self.ask(true, true);
        begun.elapsed().as_secs_f64() * 1e6
    }

    /// Microseconds there and back on average, with both sides spinning.
    pub(crate) fn spinning_round_trip(&self, count: u32) -> f64 {
        self.words.mode.0.store(1, Ordering::Release);
        // The sleeper has to see that it is to spin now, and wakes nobody then.
        self.ask(true, false);
        let begun = Instant::now();
        for _ in 0..count {
            self.ask(false, false);
        }
        let time = begun.elapsed().as_secs_f64() * 1e6 / f64::from(count);
        self.words.mode.0.store(0, Ordering::Release);
        time
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.words.mode.0.store(2, Ordering::Release);
        self.words.asked.0.fetch_add(1, Ordering::Release);
        wake(&self.words.asked.0);
        // SAFETY: it waits for the process made above.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
    }
}
