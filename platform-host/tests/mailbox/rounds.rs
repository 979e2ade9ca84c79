//! Payloads through a mailbox, with their checksums.

use crate::{Forked, Shared};
use prewire_platform_host::mailbox::{Phase, sleep_on};
use prewire_platform_host::wire::FRAME_CAPACITY;
use prewire_runtime_core::port::Token;

const ROUNDS: u64 = 100_000;

fn mixed(mut value: u64) -> u64 {
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// Fills a payload for a round: its number, its length in words, their sum, and the words. Most are short, the longest fill the frame.
fn fill(blob: &mut [u8], round: u64) -> u64 {
    let most = FRAME_CAPACITY / 8 - 3;
    let words = mixed(round) as usize % ((most >> (round % 12)) + 1);
    let (head, body) = blob.split_at_mut(24);
    let mut sum = 0u64;
    for (at, place) in body.chunks_exact_mut(8).take(words).enumerate() {
        let word = mixed(round << 16 | at as u64);
        sum = sum.rotate_left(1) ^ word;
        place.copy_from_slice(&word.to_le_bytes());
    }
    for (place, word) in head.chunks_exact_mut(8).zip([round, words as u64, sum]) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    sum
}

/// The sum of the payload that is there, once everything about it has been found to be this round's.
fn check(blob: &[u8], round: u64) -> u64 {
    let word = |at: usize| u64::from_le_bytes(blob[8 * at..8 * at + 8].try_into().expect("eight bytes"));
    assert_eq!(word(0), round, "the payload of another round");
    let sum = (3..3 + word(1) as usize).fold(0u64, |sum, at| sum.rotate_left(1) ^ word(at));
    assert_eq!(sum, word(2), "bytes of another round in round {round}");
    sum
}

fn answer(round: u64, sum: u64) -> String {
    format!("{sum:016x}").repeat(1 + (round % 100) as usize)
}

fn work(shared: &Shared) {
    let mailbox = shared.mailbox();
    let mut token = Token::FIRST;
    for round in 0..ROUNDS {
        let frame = &mailbox.frames[token.parity()];
        while !frame.state.look().is(Phase::Published, token) {
            sleep_on(&mailbox.bell, None, || frame.state.look().is(Phase::Published, token));
        }
        assert!(frame.state.start(token), "nobody takes it back");
        // SAFETY: the frame is started and not finished.
        let sum = check(unsafe { frame.blob() }, round);
        // SAFETY: as above.
        unsafe { frame.write_failure(round as i32, &answer(round, sum)) };
        frame.state.finish(token, false);
        shared.board.ring_scheduler();
        token = token.next();
    }
}

/// Claims HOST-081 together with the model of two rounds through one frame. Both frames are in use, so that one is filled while the other is read.
#[test]
fn neither_side_sees_the_bytes_of_another_round() {
    let shared = Shared::new();
    let worker = Forked::new(|| work(&shared));
    let mailbox = shared.mailbox();
    let mut sent: [Option<(Token, u64, u64)>; 2] = [None, None];
    let collect = |(token, round, sum): (Token, u64, u64)| {
        let frame = &mailbox.frames[token.parity()];
        shared.wait_until("an answer", || frame.state.look().is(Phase::Failed, token));
        // SAFETY: the worker has finished the frame, and nothing was published in it since.
        let failure = unsafe { frame.read_failure() };
        assert_eq!(failure, Ok((round as i32, answer(round, sum))));
    };
    let mut token = Token::FIRST;
    for round in 0..ROUNDS {
        if let Some(before) = sent[token.parity()].take() {
            collect(before);
        }
        let frame = &mailbox.frames[token.parity()];
        // SAFETY: the frame is empty, or ended and taken in.
        let sum = fill(unsafe { frame.blob_mut() }, round);
        frame.state.publish(token);
        mailbox.bell.ring();
        sent[token.parity()] = Some((token, round, sum));
        token = token.next();
    }
    let mut last: Vec<_> = sent.into_iter().flatten().collect();
    last.sort_by_key(|&(_, round, _)| round);
    last.into_iter().for_each(collect);
    assert_eq!(worker.join(), 0);
}
