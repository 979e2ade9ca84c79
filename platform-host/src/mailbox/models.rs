//! Models of the mailbox: the words are the ones that ship, the bytes behind them are cells that loom watches.

use super::{FrameState, Phase, SleepWord, oldest_published, sleep_on};
use crate::sync::{AtomicU32, Ordering};
use prewire_runtime_core::port::Token;
use prewire_runtime_core::sync::{Arc, UnsafeCell, spin_hint, thread};

fn model(body: impl Fn() + Send + Sync + 'static) {
    #[cfg(loom)]
    loom::model(body);
    #[cfg(not(loom))]
    body();
}

fn token(value: u32) -> Token {
    Token::starting_at(value).expect("a token")
}

/// Bytes that one side writes and the other reads, for loom to watch.
struct Bytes(UnsafeCell<u32>);

// SAFETY: the models are about whether accesses to it are ordered; loom checks them.
unsafe impl Sync for Bytes {}
// SAFETY: a number.
unsafe impl Send for Bytes {}

impl Bytes {
    fn new() -> Self {
        Bytes(UnsafeCell::new(0))
    }

    fn write(&self, value: u32) {
        // SAFETY: ordered by the protocol under test.
        self.0.with_mut(|cell| unsafe { *cell = value });
    }

    fn read(&self) -> u32 {
        // SAFETY: ordered by the protocol under test.
        self.0.with(|cell| unsafe { *cell })
    }
}

/// A mailbox with cells for bytes.
struct Words {
    bell: SleepWord,
    shutdown: AtomicU32,
    doorbell: SleepWord,
    frames: [(FrameState, Bytes); 2],
}

impl Words {
    fn new() -> Arc<Self> {
        Arc::new(Words {
            bell: SleepWord::new(),
            shutdown: AtomicU32::new(0),
            doorbell: SleepWord::new(),
            frames: std::array::from_fn(|_| (FrameState::new(), Bytes::new())),
        })
    }
}

/// Rings a word of a model, whose sleeper is a thread.
#[cfg(loom)]
fn ring(word: &SleepWord, sleeper: &thread::Thread) {
    if word.claim() {
        sleeper.unpark();
    }
}

#[cfg(not(loom))]
fn ring(word: &SleepWord, _: &thread::Thread) {
    word.ring();
}

/// Two rounds through one frame: neither side sees the bytes of another round.
#[test]
fn loom_a_frame_carries_its_own_bytes() {
    model(|| {
        let mailbox = Words::new();
        let worker = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                for round in [0, 2] {
                    let (state, bytes) = &mailbox.frames[0];
                    while !state.look().is(Phase::Published, token(round)) {
                        spin_hint();
                    }
                    assert!(state.start(token(round)), "nobody takes it back");
                    assert_eq!(bytes.read(), 10 + round);
                    bytes.write(20 + round);
                    state.finish(token(round), true);
                }
            })
        };
        for round in [0, 2] {
            let (state, bytes) = &mailbox.frames[0];
            bytes.write(10 + round);
            state.publish(token(round));
            while !state.look().is(Phase::Done, token(round)) {
                spin_hint();
            }
            assert_eq!(bytes.read(), 20 + round);
        }
        worker.join().expect("the worker ends");
    });
}

/// A frame that is taken back while the worker starts it: exactly one side has it, and the bytes are that side's.
#[test]
fn loom_a_staged_frame_is_started_or_taken_back() {
    model(|| {
        let mailbox = Words::new();
        let (state, bytes) = &mailbox.frames[1];
        bytes.write(7);
        state.publish(token(1));
        let worker = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                let (state, bytes) = &mailbox.frames[1];
                let started = state.look().is(Phase::Published, token(1)) && state.start(token(1));
                if started {
                    bytes.write(8);
                    state.finish(token(1), true);
                }
                started
            })
        };
        let revoked = state.revoke(token(1));
        if revoked {
            bytes.write(9);
        }
        let started = worker.join().expect("the worker ends");
        assert!(started != revoked, "one side wins");
        assert_eq!(bytes.read(), if started { 8 } else { 9 });
    });
}

/// A frame that was taken back is filled and published again under the same token: the worker that was about to start the first one has the bytes of the
/// second, or has started the first.
#[test]
fn loom_a_frame_that_was_taken_back_is_published_again() {
    model(|| {
        let mailbox = Words::new();
        let (state, bytes) = &mailbox.frames[1];
        bytes.write(7);
        state.publish(token(1));
        let worker = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                let (state, bytes) = &mailbox.frames[1];
                let started = state.look().is(Phase::Published, token(1)) && state.start(token(1));
                started.then(|| bytes.read())
            })
        };
        let revoked = state.revoke(token(1));
        if revoked {
            bytes.write(8);
            state.publish(token(1));
        }
        let seen = worker.join().expect("the worker ends");
        assert!(seen.is_none_or(|seen| seen == if revoked { 8 } else { 7 }), "{seen:?} after {revoked}");
    });
}

/// Two frames are published while the worker looks for one: it starts the older one first, whichever of them is even.
#[test]
fn loom_frames_are_started_in_the_order_of_their_publication() {
    for first in [0, 1] {
        model(move || {
            let mailbox = Words::new();
            let [older, newer] = [token(first), token(first).next()];
            let worker = {
                let mailbox = mailbox.clone();
                thread::spawn(move || {
                    let mut started = Vec::new();
                    for _ in 0..2 {
                        let [(even, _), (odd, _)] = &mailbox.frames;
                        if let Some(token) = oldest_published(even, odd) {
                            let (state, bytes) = &mailbox.frames[token.parity()];
                            assert!(state.start(token), "nobody takes it back");
                            assert_eq!(bytes.read(), token.to_register());
                            started.push(token);
                        }
                    }
                    started
                })
            };
            for token in [older, newer] {
                let (state, bytes) = &mailbox.frames[token.parity()];
                bytes.write(token.to_register());
                state.publish(token);
            }
            let started = worker.join().expect("the worker ends");
            assert_eq!(started, [older, newer][..started.len()]);
        });
    }
}

/// The worker sleeps before each task, the runtime before each result, and no ring is lost on either side; the end is seen, too, and no result with it.
#[test]
fn loom_no_ring_is_lost_and_no_result_with_the_end() {
    model(|| {
        let mailbox = Words::new();
        let runtime = thread::current();
        let worker = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                let (state, bytes) = &mailbox.frames[0];
                let (mut served, mut ended) = (false, false);
                while !ended {
                    if !served && state.look().is(Phase::Published, token(0)) && state.start(token(0)) {
                        served = true;
                        bytes.write(bytes.read() + 1);
                        state.finish(token(0), true);
                        ring(&mailbox.doorbell, &runtime);
                    } else if mailbox.shutdown.load(Ordering::Acquire) != 0
                        && !state.look().is(Phase::Published, token(0))
                    {
                        ended = true;
                    } else {
                        sleep_on(&mailbox.bell, None, || {
                            mailbox.shutdown.load(Ordering::Acquire) != 0 || state.look().is(Phase::Published, token(0))
                        });
                    }
                }
                served
            })
        };
        let (state, bytes) = &mailbox.frames[0];
        bytes.write(4);
        state.publish(token(0));
        ring(&mailbox.bell, worker.thread());
        mailbox.shutdown.store(1, Ordering::Release);
        ring(&mailbox.bell, worker.thread());
        while !state.look().is(Phase::Done, token(0)) {
            sleep_on(&mailbox.doorbell, None, || state.look().is(Phase::Done, token(0)));
        }
        assert_eq!(bytes.read(), 5);
        assert!(worker.join().expect("the worker ends"), "a task that was published before the end is served");
    });
}
