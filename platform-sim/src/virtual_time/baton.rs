//! Kernels that wait for one another, one at a time: each has a thread, and one baton goes round. Who has it runs until it waits or returns.
//!
//! In the order in which they started all of them get the baton, again and again, until a whole round has brought nobody on. Whoever waits then waits for
//! something that has not happened yet, and time goes on.

use crate::sim::Shared;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::KernelError;
use prewire_runtime_core::platform::DispatchPayload;
use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

const POISON: &str = "no code panics while it holds the baton's lock";

/// What a kernel that ran with others came to.
pub(super) type Result = std::result::Result<(), Box<KernelError>>;

/// The baton and those among whom it goes round.
#[derive(Debug, Default)]
pub(crate) struct Baton {
    state: Mutex<State>,
    /// The baton is back.
    back: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Who has it; nobody means whoever plays the chip.
    holder: Option<u64>,
    next: u64,
    waiting: Vec<(u64, Arc<Condvar>)>,
    /// Whether the present holder came on.
    came_on: bool,
    returned: Vec<(CoreId, Result)>,
}

/// A kernel's place among those who run by a baton.
struct Own {
    baton: Arc<Baton>,
    number: u64,
    turn: Arc<Condvar>,
}

thread_local! {
    /// That of this thread's kernel, if it runs by a baton.
    static OWN: RefCell<Option<Own>> = const { RefCell::new(None) };
}

impl Baton {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(POISON)
    }

    /// Gives a dispatch's kernel a thread. It does nothing before the baton goes round.
    ///
    /// # Safety
    /// Within a run; the payload's arguments are valid until the kernel has returned.
    pub(super) unsafe fn enter(
        self: &Arc<Self>,
        shared: &Arc<Shared<crate::bus::MemoryBus>>,
        payload: &DispatchPayload,
    ) {
        let turn = Arc::new(Condvar::new());
        let number = {
            let mut state = self.lock();
            state.next += 1;
            let number = state.next;
            state.waiting.push((number, turn.clone()));
            number
        };
        let (baton, shared, payload) = (self.clone(), shared.clone(), *payload);
        let body = move || {
            OWN.set(Some(Own { baton: baton.clone(), number, turn: turn.clone() }));
            baton.wait_for_turn(number, &turn);
            // SAFETY: by contract.
            let result = unsafe { shared.call(&payload) };
            shared.leave_cohort(&payload, result.as_ref().err().map(|error| error.text.as_str()));
            let mut state = baton.lock();
            state.waiting.retain(|&(other, _)| other != number);
            state.returned.push((payload.core, result));
            state.came_on = true;
            state.holder = None;
            baton.back.notify_all();
        };
        let name = format!("core-{}", payload.core.0);
        let started = std::thread::Builder::new().name(name).spawn(body);
        assert!(started.is_ok(), "a thread for a kernel that waits for others could not be started");
    }

    fn wait_for_turn(&self, number: u64, turn: &Condvar) {
        let mut state = self.lock();
        while state.holder != Some(number) {
            state = turn.wait(state).expect(POISON);
        }
    }

    /// Lets the baton go round until nobody comes on. Returns the kernels that have returned.
    pub(super) fn go_round(&self) -> Vec<(CoreId, Result)> {
        let mut state = self.lock();
        let mut any_came_on = true;
        while any_came_on && !state.waiting.is_empty() {
            any_came_on = false;
            for (number, turn) in state.waiting.clone() {
                state.came_on = false;
                state.holder = Some(number);
                turn.notify_all();
                while state.holder.is_some() {
                    state = self.back.wait(state).expect(POISON);
                }
                any_came_on |= state.came_on;
            }
        }
        std::mem::take(&mut state.returned)
    }
}

/// Whether this thread's kernel runs by a baton.
pub(crate) fn is_by_baton() -> bool {
    OWN.with_borrow(Option::is_some)
}

/// Where a kernel that runs by a baton waits for a sibling: the baton goes on, and the call returns when it is back. `came_on` says that the kernel did
/// something since it last waited.
pub(crate) fn pass_on(came_on: bool) {
    OWN.with_borrow(|own| {
        let Some(Own { baton, number, turn }) = own else { return };
        {
            let mut state = baton.lock();
            state.came_on |= came_on;
            state.holder = None;
            baton.back.notify_all();
        }
        baton.wait_for_turn(*number, turn);
    });
}
