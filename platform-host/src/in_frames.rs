//! What the runtime has put into a worker's two frames and not yet taken in, and what their words mean to the engine.

use crate::crew::Incarnation;
use crate::groups::MEETING_NONE;
use crate::mailbox::{FrameWord, Phase};
use prewire_runtime_core::port::{Condition, Token};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const POISON: &str = "no code panics while it holds a refusal";

/// No dispatch.
const NONE: u32 = u32::MAX;

/// A worker's frames, as the runtime knows them. Only the scheduler that owns the core changes it.
#[derive(Debug)]
pub(crate) struct InFrames {
    /// The token in each frame that was not taken in, by parity.
    tokens: [AtomicU32; 2],
    /// The last token.
    newest: AtomicU32,
    /// The group of each frame's task.
    meetings: [AtomicU32; 2],
    /// What went wrong with a dispatch before it reached the worker.
    refusals: [Mutex<Option<String>>; 2],
    is_refused: [AtomicBool; 2],
    /// Whether the scheduler knows that the worker is lost for good.
    pub(crate) known_gone: AtomicBool,
}

impl InFrames {
    pub(crate) fn new() -> Self {
        InFrames {
            tokens: [AtomicU32::new(NONE), AtomicU32::new(NONE)],
            newest: AtomicU32::new(NONE),
            meetings: [AtomicU32::new(MEETING_NONE), AtomicU32::new(MEETING_NONE)],
            refusals: [Mutex::new(None), Mutex::new(None)],
            is_refused: [AtomicBool::new(false), AtomicBool::new(false)],
            known_gone: AtomicBool::new(false),
        }
    }

    /// The token in a frame, unless it was taken in.
    #[inline]
    pub(crate) fn token(&self, parity: usize) -> Option<Token> {
        Token::from_register(self.tokens[parity].load(Ordering::Relaxed))
    }

    /// A dispatch is put into its frame.
    pub(crate) fn given(&self, token: Token, meeting: u32) {
        self.tokens[token.parity()].store(token.to_register(), Ordering::Relaxed);
        self.newest.store(token.to_register(), Ordering::Relaxed);
        self.meetings[token.parity()].store(meeting, Ordering::Relaxed);
    }

    /// The end of a dispatch is taken in. Returns the place of its group.
    pub(crate) fn taken_in(&self, token: Token) -> u32 {
        self.tokens[token.parity()].store(NONE, Ordering::Relaxed);
        self.meetings[token.parity()].swap(MEETING_NONE, Ordering::Relaxed)
    }

    /// A dispatch could not reach the worker.
    pub(crate) fn refuse(&self, token: Token, text: String) {
        *self.refusals[token.parity()].lock().expect(POISON) = Some(text);
        self.is_refused[token.parity()].store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_refused(&self, token: Token) -> bool {
        self.is_refused[token.parity()].load(Ordering::Relaxed)
    }

    /// Why a dispatch could not reach the worker, if it could not.
    pub(crate) fn take_refusal(&self, token: Token) -> Option<String> {
        let refused = self.is_refused[token.parity()].swap(false, Ordering::Relaxed);
        if refused { self.refusals[token.parity()].lock().expect(POISON).take() } else { None }
    }

    /// Forgets what an earlier run left.
    pub(crate) fn clear(&self) {
        for parity in 0..2 {
            self.tokens[parity].store(NONE, Ordering::Relaxed);
            self.meetings[parity].store(MEETING_NONE, Ordering::Relaxed);
            self.is_refused[parity].store(false, Ordering::Relaxed);
        }
    }

    /// What the worker says. With two dispatches in flight, the older one's end is told as the start of the other, which follows by itself: the older one's
    /// frame is free then. A worker that has died with a frame that it had not started has left.
    pub(crate) fn condition(&self, worker: Option<&Incarnation>) -> Condition {
        let newest = Token::from_register(self.newest.load(Ordering::Relaxed));
        let Some(newest) = newest.filter(|newest| self.token(newest.parity()) == Some(*newest)) else {
            return Condition::Idle;
        };
        let Some(worker) = worker else { return Condition::Finished(newest) };
        // A worker that was given up is not listened to until nothing of it can touch memory any more.
        let is_dead = worker.is_dead();
        if !is_dead && worker.is_given_up() {
            return Condition::Unknown;
        }
        let look = |token: Token| stand(worker.mailbox().frames[token.parity()].state.look(), token);
        if let Some(older) = self.token(newest.parity() ^ 1) {
            match look(older) {
                Stand::Ended => {}
                _ if is_dead && (self.is_refused(newest) || look(newest) == Stand::Waits) => return Condition::Exited,
                _ if is_dead => return Condition::Finished(newest),
                Stand::Waits | Stand::Runs => return Condition::Started(older),
                Stand::Nonsense(word) => return condemn(worker, word),
            }
        }
        if self.is_refused(newest) {
            return Condition::Finished(newest);
        }
        match look(newest) {
            Stand::Ended => Condition::Finished(newest),
            Stand::Waits if is_dead => Condition::Exited,
            _ if is_dead => Condition::Finished(newest),
            // What is published is the worker's next, whether it has woken up or not.
            Stand::Waits | Stand::Runs => Condition::Started(newest),
            Stand::Nonsense(word) => condemn(worker, word),
        }
    }

    /// Takes back the newest dispatch, unless the worker has started it.
    pub(crate) fn revoke(&self, worker: Option<&Incarnation>, token: Token) -> bool {
        let unstarted = |worker: &Incarnation| worker.mailbox().frames[token.parity()].state.revoke(token);
        if self.take_refusal(token).is_none() && !worker.is_some_and(unstarted) {
            return false;
        }
        self.taken_in(token);
        self.newest.store(self.tokens[token.parity() ^ 1].load(Ordering::Relaxed), Ordering::Relaxed);
        true
    }
}

/// The worker has written what it cannot have: it is ended, and its tasks with it.
#[cold]
fn condemn(worker: &Incarnation, word: FrameWord) -> Condition {
    let what = format!("frame field state: {:?} for token {}", word.phase, word.token);
    worker.kill(&format!("it answered with nonsense: {what}"));
    Condition::Unknown
}

/// What a frame's word means for the dispatch that was put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Waits,
    Runs,
    Ended,
    Nonsense(FrameWord),
}

fn stand(word: FrameWord, token: Token) -> Stand {
    match word.phase {
        _ if word.token != token.to_register() => Stand::Nonsense(word),
        Some(Phase::Published) => Stand::Waits,
        Some(Phase::Running) => Stand::Runs,
        Some(Phase::Done | Phase::Failed) => Stand::Ended,
        Some(Phase::Empty | Phase::Revoked) | None => Stand::Nonsense(word),
    }
}
