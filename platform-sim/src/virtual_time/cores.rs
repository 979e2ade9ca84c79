//! One core's line through time: what it runs, what waits behind it, and when its answers can be read.

use prewire_runtime_core::platform::DispatchPayload;
use prewire_runtime_core::port::{Condition, Token};
use std::collections::VecDeque;

/// A dispatch on its way through a core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) token: Token,
    pub(super) payload: DispatchPayload,
    /// When the token was written.
    pub(super) written_ns: u64,
    pub(super) start_ns: u64,
    pub(super) started: bool,
}

/// What the condition register says from a moment on.
#[derive(Clone, Copy, Debug)]
struct Answer {
    visible_ns: u64,
    condition: Condition,
}

#[derive(Debug)]
pub(super) struct CoreLine {
    pub(super) running: Option<Flight>,
    pub(super) behind: Option<Flight>,
    /// In the order of time; the first is what was read last.
    answers: VecDeque<Answer>,
    /// When its owner last read the register in a step.
    looked_ns: u64,
    /// The last token written, while its end has not been read.
    pub(super) held: Option<Token>,
    /// The number of its next start or end; others were called off.
    pub(super) serial: u64,
    pub(super) last_finished: Option<Token>,
}

impl CoreLine {
    pub(super) fn new() -> Self {
        CoreLine {
            running: None,
            behind: None,
            answers: VecDeque::from([Answer { visible_ns: 0, condition: Condition::Idle }]),
            looked_ns: 0,
            held: None,
            serial: 0,
            last_finished: None,
        }
    }

    /// Nothing is left of an earlier run but the numbers.
    pub(super) fn begin_run(&mut self) {
        *self = CoreLine { serial: self.serial + 1, ..CoreLine::new() };
    }

    /// The core writes its register. Answers arrive in the order in which they were written. Returns when this one does.
    pub(super) fn answer(&mut self, condition: Condition, arrives_ns: u64) -> u64 {
        let visible_ns = arrives_ns.max(self.answers.back().map_or(0, |last| last.visible_ns));
        self.answers.push_back(Answer { visible_ns, condition });
        visible_ns
    }

    /// What the register says at a moment, which is never before an earlier one that was asked for.
    pub(super) fn read(&mut self, at_ns: u64) -> Condition {
        while self.answers.len() > 1 && self.answers[1].visible_ns <= at_ns {
            self.answers.pop_front();
        }
        self.answers[0].condition
    }

    /// As [`CoreLine::read`], by its owner in a step.
    pub(super) fn look(&mut self, at_ns: u64) -> Condition {
        self.looked_ns = at_ns;
        let condition = self.read(at_ns);
        if let Condition::Finished(token) = condition
            && self.held == Some(token)
        {
            self.held = None;
        }
        condition
    }

    /// Whether an answer can be read by now that its owner has not seen.
    pub(super) fn has_news(&self, now_ns: u64) -> bool {
        self.held.is_some()
            && self.answers.iter().any(|answer| answer.visible_ns > self.looked_ns && answer.visible_ns <= now_ns)
    }
}
