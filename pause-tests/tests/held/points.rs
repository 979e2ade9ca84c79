//! The points of this test program, in memory that worker processes share.

use crate::stage::{FREE, Stage, on_both};
use prewire::host::HostBuilder;
use prewire_runtime_core::sync::pause::{Hold, Point, Points};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

static ONE_TEST: Mutex<()> = Mutex::new(());
static SHARED: OnceLock<&'static Points> = OnceLock::new();

/// A test's right to hold others: one test of a process has it at a time.
pub(crate) struct Pauses {
    points: &'static Points,
    _alone: MutexGuard<'static, ()>,
}

impl Pauses {
    /// To be taken before any worker is started, so that it inherits the points.
    pub(crate) fn new() -> Pauses {
        let alone = ONE_TEST.lock().unwrap_or_else(PoisonError::into_inner);
        Pauses { points: SHARED.get_or_init(|| map().install()), _alone: alone }
    }

    /// The next one to come there is held.
    pub(crate) fn hold_next(&self, point: Point) -> Hold {
        self.points.hold_next(point)
    }
}

fn map() -> &'static Points {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: the system chooses where.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Points>(), access, kind, -1, 0) };
    assert_ne!(address, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
    // SAFETY: the memory is zeroed, which points may be, a whole page, and never unmapped.
    unsafe { &*address.cast::<Points>() }
}

fn worker_is_held(builder: HostBuilder) {
    let pauses = Pauses::new();
    let mut stage = Stage::subs(builder, 1);
    let play = &stage.play;
    let hold = pauses.hold_next(Point::WorkerFinishes);
    stage
        .host
        .run(|run| {
            let first = play.submit(run, FREE, &[])?.id;
            hold.wait();
            let (before, held) = (play.ended(), hold.is_held());
            play.submit(run, FREE + 1, &[])?;
            assert_eq!((before, held, play.starts(FREE + 1)), (vec![FREE], true, 0));
            hold.release();
            play.probe(run, &[first])
        })
        .expect("it runs");
    assert_eq!(play.ended(), [FREE, FREE + 1]);
}

#[test]
fn a_worker_is_held_be_it_a_process_or_a_thread() {
    on_both(worker_is_held);
}
