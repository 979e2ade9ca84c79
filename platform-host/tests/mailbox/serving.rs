//! A worker that serves its mailbox, in a process and in a thread, while nobody looks or its end comes at the same moment.

use crate::{Forked, RUN, Shared};
use prewire_platform_host::mailbox::Phase;
use prewire_platform_host::memory::SharedBuffer;
use prewire_platform_host::wire::{Call, Locate, encode};
use prewire_platform_host::worker::{Buffers, Worker};
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::{Kernel, KernelError, KernelFunction, KernelSet};
use prewire_runtime_core::port::Token;
use prewire_runtime_core::waiting::WaitingPolicy;
use std::sync::{Arc, RwLock};

struct NoBuffers;

impl Buffers for NoBuffers {
    fn find(&self, _: u64) -> Option<(u64, u64)> {
        None
    }

    fn around(&self, _: u64) -> Option<Arc<SharedBuffer>> {
        None
    }
}

impl Locate for NoBuffers {
    fn locate(&self, _: u64) -> Option<(u64, u64)> {
        None
    }
}

/// A worker whose only callable spins so often as its scalar 0 says and fails with its scalar 1.
fn worker(shared: &Shared, waiting: WaitingPolicy) -> Worker {
    let function = KernelFunction::Rust(Arc::new(|task| {
        for _ in 0..task.scalar_bits(0)? {
            std::hint::spin_loop();
        }
        Err(KernelError::new(task.scalar::<i32>(1)?, "as it was asked to"))
    }));
    let mut callables = KernelSet::default();
    callables.register(Kernel { name: "spins".to_owned(), kind: None, function }).expect("there is room");
    Worker {
        name: "sub worker 0".to_owned(),
        core: CoreId(0),
        mailbox: shared.memory.clone(),
        board: shared.board.clone(),
        callables: Arc::new(RwLock::new(callables)),
        buffers: Arc::new(NoBuffers),
        waiting,
    }
}

/// Writes a frame and publishes it.
fn publish(shared: &Shared, token: Token, spins: u64, code: i32) -> Vec<u8> {
    let frame = &shared.mailbox().frames[token.parity()];
    let call =
        Call { task: 1, run: RUN, callable: 0, block: 0, blocks: 1, slot: 0, part: 1, parts: 1, meeting: u32::MAX };
    // SAFETY: the frame is empty, or ended and taken in.
    let blob = unsafe { frame.blob_mut() };
    let bytes = encode(blob, &call, &[], &[spins, code as u32 as u64], &NoBuffers).expect("it fits");
    let copy = blob[..bytes].to_vec();
    frame.state.publish(token);
    copy
}

fn has_failed(shared: &Shared, token: Token) -> bool {
    shared.mailbox().frames[token.parity()].state.look().is(Phase::Failed, token)
}

fn code_of(shared: &Shared, token: Token) -> i32 {
    let frame = &shared.mailbox().frames[token.parity()];
    // SAFETY: the worker has finished the frame, and nothing was published in it since.
    let failure = unsafe { frame.read_failure() };
    failure.expect("the worker's own words").0
}

/// A second frame, staged on a worker that is busy with the first, is started by the worker itself, while the runtime does
/// nothing at all; both frames keep their bytes.
#[test]
fn a_staged_frame_is_started_by_the_worker() {
    for _ in 0..100 {
        let shared = Shared::new();
        let worker = Forked::new(|| worker(&shared, WaitingPolicy::PARK_AT_ONCE).serve());
        let [first, second] = [Token::FIRST, Token::FIRST.next()];
        let sent = [publish(&shared, first, 100_000, 11), publish(&shared, second, 0, 12)];
        shared.mailbox().bell.ring();
        // Nobody rings the worker again, or touches the first frame.
        shared.wait_until("the second task", || has_failed(&shared, second));
        assert!(has_failed(&shared, first), "the second was started before the first had ended");
        assert_eq!([code_of(&shared, first), code_of(&shared, second)], [11, 12]);
        for (token, sent) in [first, second].into_iter().zip(&sent) {
            // SAFETY: the worker has finished the frame.
            let blob = unsafe { shared.mailbox().frames[token.parity()].blob() };
            assert_eq!(blob[..sent.len()], sent[..]);
        }
        shared.mailbox().shut_down();
        shared.mailbox().bell.ring();
        assert_eq!(worker.join(), 0);
    }
}

/// The end is asked for while the worker stores its result, sooner or later.
fn ended_while_it_answers(round: u64, shared: &Shared) {
    publish(shared, Token::FIRST, round % 7 * 300, 1 + round as i32);
    shared.mailbox().bell.ring();
    let started = || shared.mailbox().frames[0].state.look().phase != Some(Phase::Published);
    while round.is_multiple_of(2) && !started() {
        std::thread::yield_now();
    }
    for _ in 0..round % 11 * 200 {
        std::hint::spin_loop();
    }
    shared.mailbox().shut_down();
    shared.mailbox().bell.ring();
}

fn is_intact(round: u64, shared: &Shared) {
    assert!(has_failed(shared, Token::FIRST), "the result of round {round} was lost");
    assert_eq!(code_of(shared, Token::FIRST), 1 + round as i32);
    assert!(shared.mailbox().is_shut_down(), "the request to end was overwritten in round {round}");
}

const ROUNDS: u64 = 1000;

/// Claims HOST-086 together with the model of a mailbox whose worker is ended. Here with workers that are processes, half of which sleep at once and half of
/// which spin.
#[test]
fn a_request_to_end_and_a_result_do_not_overwrite_one_another() {
    for round in 0..ROUNDS {
        let shared = Shared::new();
        let spins = if round % 4 < 2 { 0 } else { 1000 };
        let worker = Forked::new(|| worker(&shared, WaitingPolicy { spins, yields: 0 }).serve());
        ended_while_it_answers(round, &shared);
        assert_eq!(worker.join(), 0, "the worker did not end in order in round {round}");
        is_intact(round, &shared);
    }
}

/// The same with workers that are threads.
#[test]
fn a_request_to_end_and_a_threads_result_do_not_overwrite_one_another() {
    for round in 0..ROUNDS {
        let shared = Shared::new();
        std::thread::scope(|threads| {
            threads.spawn(|| worker(&shared, WaitingPolicy::PARK_AT_ONCE).serve());
            ended_while_it_answers(round, &shared);
        });
        is_intact(round, &shared);
    }
}
