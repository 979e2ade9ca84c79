//! The words between a scheduler and a core: with a second dispatch pre-loaded behind the running one, every token is seen to end once and in order, and a
//! payload's place is written again only when the core has left it.
//!
//! The words themselves are a platform's; here they are two atomics, written and read as the simulated chip does it.

use crate::port::{Condition, InFlight, Token, Transition};
use crate::sync::{Arc, AtomicU32, Ordering, UnsafeCell, model, spin_hint, thread};

/// Three, so that the third uses the first one's place again.
const DISPATCHES: u32 = 3;

struct Core {
    dispatch: AtomicU32,
    condition: AtomicU32,
    payloads: [UnsafeCell<u32>; 2],
}

// SAFETY: the claim of the model; loom reports accesses to a payload that meet.
unsafe impl Sync for Core {}
// SAFETY: plain numbers.
unsafe impl Send for Core {}

impl Core {
    /// Runs so many dispatches as a core does.
    fn run(&self) {
        let mut last = None;
        for _ in 0..DISPATCHES {
            let token = loop {
                match Token::from_register(self.dispatch.load(Ordering::Acquire)) {
                    Some(token) if last != Some(token) => break token,
                    _ => spin_hint(),
                }
            };
            self.condition.store(Condition::Started(token).to_register(), Ordering::Release);
            // SAFETY: the claim of the model.
            let payload = self.payloads[token.parity()].with(|cell| unsafe { *cell });
            assert_eq!(payload, token.to_register(), "a core reads the payload of its own dispatch");
            self.condition.store(Condition::Finished(token).to_register(), Ordering::Release);
            last = Some(token);
        }
    }

    fn launch(&self, token: Token) {
        // SAFETY: the claim of the model.
        self.payloads[token.parity()].with_mut(|cell| unsafe { *cell = token.to_register() });
        self.dispatch.store(token.to_register(), Ordering::Release);
    }
}

#[test]
fn loom_every_dispatch_ends_once() {
    model(|| {
        let core = Arc::new(Core {
            dispatch: AtomicU32::new(Token::IDLE),
            condition: AtomicU32::new(Condition::Idle.to_register()),
            payloads: [UnsafeCell::new(u32::MAX), UnsafeCell::new(u32::MAX)],
        });
        let running = {
            let core = core.clone();
            thread::spawn(move || core.run())
        };
        let (mut in_flight, mut next) = (InFlight::default(), Token::FIRST);
        let mut ended = Vec::new();
        while ended.len() < DISPATCHES as usize {
            if next.to_register() < DISPATCHES && (in_flight.running.is_none() || in_flight.can_preload()) {
                core.launch(next);
                in_flight.dispatched(next);
                next = next.next();
            }
            let before = in_flight;
            match in_flight.observe(Condition::from_register(core.condition.load(Ordering::Acquire))) {
                Transition::None => spin_hint(),
                Transition::Started => {}
                Transition::RunningEnded | Transition::Promoted => ended.extend(before.running),
                Transition::BothEnded => ended.extend(before.running.into_iter().chain(before.preloaded)),
            }
        }
        let ended: Vec<u32> = ended.into_iter().map(Token::to_register).collect();
        assert_eq!(ended, [0, 1, 2]);
        running.join().unwrap();
    });
}
