//! Places where a test may hold whoever comes by: the moments between a look and the step that relies on it, which chance alone hits too seldom.
//!
//! Without the feature `pause-points` a place is nothing at all. With it, it is one load until a test installs its [`Points`].

/// The places, each named for what its thread or process is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Point {
    /// A submit has looked its producers up; which of them are done already, and whether there is room, is about to be looked at.
    SubmitAdmits,
    /// A submit has found room; it has taken no hold and made no edge, and the task is not in the dependency index.
    SubmitWires,
    /// A scheduler has taken in the end of a task's last block; none of its consumers knows.
    TaskReleasesConsumers,
    /// A scheduler's thread has announced its sleep and looked once more in vain.
    SchedulerSleeps,
    /// The same of a thread that waits in a submit, in a data access or for the end of its run.
    CallerSleeps,
    /// A cancellation from outside is about to be recorded as the cause of its run's end.
    CancelLatches,
    /// The submitting thread is about to record what it found as the cause of its run's end.
    SubmitLatches,
    /// A scheduler has put a task behind the one that a core runs.
    SchedulerStages,
    /// What a worker says counts no more, and it is about to be killed.
    WorkerIsKilled,
    /// A worker has run a task and is about to store its result.
    WorkerFinishes,
    /// A worker has stored a task's result and told nobody.
    WorkerRings,
}

/// Holds the caller if a test asked for the next one who comes here.
#[inline(always)]
pub fn at(point: Point) {
    #[cfg(feature = "pause-points")]
    if let Some(points) = held::INSTALLED.get() {
        points.pass(point);
    }
    #[cfg(not(feature = "pause-points"))]
    let _ = point;
}

#[cfg(feature = "pause-points")]
pub use held::{Hold, Points};

#[cfg(feature = "pause-points")]
#[allow(
    clippy::disallowed_methods,
    reason = "who is held must sleep whatever the engine wants of it, and a test waits as long as it likes"
)]
mod held {
    use super::Point;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::{Duration, Instant};

    pub(super) static INSTALLED: OnceLock<&'static Points> = OnceLock::new();

    /// Nobody is awaited. A point's word has its state in these bits, and above them how often it has been armed, so that whoever is let go does not take the next
    /// one's hold for its own.
    const OPEN: u32 = 0;
    /// Whoever comes next is held.
    const ARMED: u32 = 1;
    /// Somebody is held.
    const HELD: u32 = 2;
    const STATES: u32 = 3;
    const NEXT: u32 = STATES + 1;

    const LOOK_AGAIN: Duration = Duration::from_micros(200);
    /// Longer than any test takes.
    const TOO_LONG: Duration = Duration::from_secs(100);

    /// What each place does with whoever comes there. All zeroes is a value of it, at which nobody is held; in memory that is shared over a fork, processes
    /// are held as threads are.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct Points([AtomicU32; Point::WorkerRings as usize + 1]);

    impl Points {
        /// Makes these the points of this process and of those that it forks from now on. The first ones stay.
        pub fn install(&'static self) -> &'static Points {
            INSTALLED.get_or_init(|| self)
        }

        /// The next one to come to a point is held there, once.
        ///
        /// # Panics
        /// If somebody else asked for the same.
        pub fn hold_next(&'static self, point: Point) -> Hold {
            let word = &self.0[point as usize];
            let open = word.load(Ordering::SeqCst);
            let armed = open & STATES == OPEN
                && word.compare_exchange(open, open + NEXT + ARMED, Ordering::SeqCst, Ordering::SeqCst).is_ok();
            assert!(armed, "{point:?} is in use already");
            Hold { points: self, point }
        }

        #[inline]
        pub(super) fn pass(&self, point: Point) {
            let word = &self.0[point as usize];
            let seen = word.load(Ordering::Relaxed);
            if seen & STATES == ARMED {
                stop(word, seen);
            }
        }
    }

    #[cold]
    fn stop(word: &AtomicU32, armed: u32) {
        let held = armed - ARMED + HELD;
        if word.compare_exchange(armed, held, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            while word.load(Ordering::SeqCst) == held {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
    }

    /// A test's hold on a point. Without it the point is open again.
    #[derive(Debug)]
    #[must_use]
    pub struct Hold {
        points: &'static Points,
        point: Point,
    }

    impl Hold {
        fn word(&self) -> &AtomicU32 {
            &self.points.0[self.point as usize]
        }

        /// Whether somebody has come and is held.
        pub fn is_held(&self) -> bool {
            self.word().load(Ordering::SeqCst) & STATES == HELD
        }

        /// Waits until somebody has come.
        ///
        /// # Panics
        /// If nobody comes.
        pub fn wait(&self) {
            let begun = Instant::now();
            while !self.is_held() {
                assert!(begun.elapsed() < TOO_LONG, "nobody came to {:?}", self.point);
                std::thread::sleep(LOOK_AGAIN);
            }
        }

        /// Lets go whoever is held, and holds the next one who comes.
        pub fn again(&self) {
            let word = self.word().load(Ordering::SeqCst);
            self.word().store((word & !STATES) + NEXT + ARMED, Ordering::SeqCst);
        }

        /// Lets go whoever is held.
        pub fn release(self) {}
    }

    impl Drop for Hold {
        fn drop(&mut self) {
            self.word().fetch_and(!STATES, Ordering::SeqCst);
        }
    }
}

#[cfg(all(test, feature = "pause-points"))]
mod tests {
    use super::{Point, Points, at};
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn one_comer_is_held_until_it_is_let_go() {
        let points = Box::leak(Box::<Points>::default()).install();
        let passed = AtomicU32::new(0);
        let pass = || {
            at(Point::CallerSleeps);
            passed.fetch_add(1, Ordering::SeqCst);
        };
        pass();
        let hold = points.hold_next(Point::CallerSleeps);
        std::thread::scope(|threads| {
            let held = threads.spawn(pass);
            hold.wait();
            // The others pass, and so do those who come to other points.
            pass();
            at(Point::SchedulerSleeps);
            assert_eq!(passed.load(Ordering::SeqCst), 2);
            assert!(!held.is_finished() && hold.is_held());
            hold.again();
            let next = threads.spawn(pass);
            hold.wait();
            assert!(held.join().is_ok() && !next.is_finished());
            assert_eq!(passed.load(Ordering::SeqCst), 3);
            hold.release();
        });
        assert_eq!(passed.load(Ordering::SeqCst), 4);
        drop(points.hold_next(Point::CallerSleeps));
        pass();
    }
}
