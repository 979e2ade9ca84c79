//! Telling workers things: one, or all at the same time.

use super::incarnation::{Facts, Incarnation, Stage};
use super::{Crew, POISON};
use crate::memory::{SharedBuffer, Sharers};
use crate::process::Command;
use rustix::fd::BorrowedFd;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum CommandError {
    #[error("{worker} could not {command}: {reason}")]
    Refused { worker: String, command: &'static str, reason: String },
    #[error("{worker} did not {command} within {timeout_ms} ms and was ended")]
    TimedOut { worker: String, command: &'static str, timeout_ms: u128 },
    #[error("{worker} could not {command}: {death}")]
    Died { worker: String, command: &'static str, death: String },
}

impl Incarnation {
    /// Sends a command; its number, unless the worker is gone.
    pub(super) fn send(&self, command: &Command, descriptors: &[BorrowedFd<'_>], awaited: bool) -> Option<u64> {
        let wires = self.wires.as_ref()?;
        let mut facts = self.facts.lock().expect(POISON);
        if facts.is_given_up() {
            return None;
        }
        facts.next_sequence += 1;
        let sequence = facts.next_sequence;
        if !awaited {
            facts.unawaited.push(sequence);
        }
        // Sent under the lock, so that commands arrive in the order of their numbers.
        let sent = wires.control.send(&command.encode(sequence), descriptors);
        drop(facts);
        self.is_sent(sent).then_some(sequence)
    }

    /// Tells what is answered only if it is refused, which ends the worker: of any number of such commands no answers pile up.
    pub(super) fn tell(&self, command: &Command, descriptors: &[BorrowedFd<'_>]) {
        if let Some(wires) = &self.wires
            && !self.facts.lock().expect(POISON).is_given_up()
        {
            self.is_sent(wires.control.send(&command.encode(Command::UNANSWERED), descriptors));
        }
    }

    /// Whether a message has gone out. A worker that takes nothing in for as long as a command may take is ended; one that is gone needs to know nothing.
    fn is_sent(&self, sent: io::Result<()>) -> bool {
        if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.kill("it took in no more of what it was told within the time of a command");
        }
        sent.is_ok()
    }

    /// The answer to a command, once there is one, or how the worker ended.
    fn answer(&self, sequence: u64) -> Option<Result<String, Answer>> {
        let mut facts = self.facts.lock().expect(POISON);
        if let Some(reply) = facts.replies.remove(&sequence) {
            return Some(reply.map_err(Answer::Refused));
        }
        match &facts.stage {
            Stage::Dead(death) => Some(Err(Answer::Died(death.clone()))),
            _ => None,
        }
    }
}

impl Facts {
    /// Whether it is told nothing any more.
    fn is_given_up(&self) -> bool {
        matches!(self.stage, Stage::Dead(_)) || self.condemned.is_some()
    }
}

enum Answer {
    Refused(String),
    Died(String),
}

/// How long a worker that was ended may take to be gone.
const END_GRACE: Duration = Duration::from_secs(5);

impl Crew {
    /// Tells several workers the same at the same time; an outcome for each, in order.
    pub(super) fn tell_all(
        &self,
        whom: &[Arc<Incarnation>],
        command: &Command,
        descriptors: &[BorrowedFd<'_>],
        timeout: Duration,
    ) -> Vec<Result<String, CommandError>> {
        let sent: Vec<_> = whom.iter().map(|worker| (worker, worker.send(command, descriptors, true))).collect();
        let deadline = Instant::now() + timeout;
        let outcomes = sent.into_iter().map(|(worker, sequence)| {
            let name = || self.lanes[worker.lane].name.clone();
            let gone = || {
                self.see_its_end(worker);
                let death = match worker.stage() {
                    Stage::Dead(death) => death,
                    _ => "its channel is closed".to_owned(),
                };
                CommandError::Died { worker: name(), command: command.name(), death }
            };
            let sequence = sequence.ok_or_else(gone)?;
            match self.events.wait_for(Some(deadline), || worker.answer(sequence)) {
                Some(Ok(text)) => Ok(text),
                Some(Err(Answer::Refused(reason))) => {
                    Err(CommandError::Refused { worker: name(), command: command.name(), reason })
                }
                Some(Err(Answer::Died(death))) => {
                    Err(CommandError::Died { worker: name(), command: command.name(), death })
                }
                None => {
                    let timeout_ms = timeout.as_millis();
                    worker.kill(&format!("it did not {} within {timeout_ms} ms", command.name()));
                    // Whoever hears of it finds the worker gone: nothing comes to it any more.
                    self.see_its_end(worker);
                    Err(CommandError::TimedOut { worker: name(), command: command.name(), timeout_ms })
                }
            }
        });
        outcomes.collect()
    }

    /// Waits until a worker that was ended, or whose channel is closed, is gone.
    fn see_its_end(&self, worker: &Incarnation) {
        let deadline = Some(Instant::now() + END_GRACE);
        let _gone = self.events.wait_for(deadline, || worker.is_dead().then_some(()));
    }

    /// Tells every living process of a kind (or of both), and whoever is made later.
    pub(super) fn announce(
        &self,
        remember: impl FnOnce(&mut super::Roster),
        command: &Command,
        descriptors: &[BorrowedFd<'_>],
    ) -> Vec<(usize, Result<String, CommandError>)> {
        let living: Vec<_> = {
            let mut roster = self.roster.lock().expect(POISON);
            remember(&mut roster);
            roster.living.iter().filter(|worker| worker.wires.is_some()).cloned().collect()
        };
        let outcomes = self.tell_all(&living, command, descriptors, self.config.command_timeout);
        let mut outcomes: Vec<_> = living.iter().map(|worker| worker.lane).zip(outcomes).collect();
        outcomes.sort_by_key(|&(lane, _)| lane);
        outcomes
    }

    /// What a worker says about itself.
    ///
    /// # Errors
    /// If it does not answer in time, or has ended.
    pub fn status(&self, lane: usize) -> Result<String, CommandError> {
        let worker = self.lanes[lane].latest();
        let Some(worker) = worker.filter(|worker| worker.wires.is_some()) else {
            return Ok("a thread".to_owned());
        };
        let timeout = self.config.command_timeout;
        self.tell_all(&[worker], &Command::Status, &[], timeout).pop().expect("one outcome for one worker")
    }

    /// Has a worker process make memory of its own; the number of its address there.
    ///
    /// # Errors
    /// If it is a thread, cannot have the memory, does not answer in time, or has ended.
    pub fn allocate_on(&self, lane: usize, buffer: u64, bytes: u64, near: u64) -> Result<u64, CommandError> {
        let command = Command::Allocate { buffer, bytes, near };
        let refused = |reason: &str| CommandError::Refused {
            worker: self.lanes[lane].name.clone(),
            command: command.name(),
            reason: reason.to_owned(),
        };
        let worker = self.lanes[lane].latest().filter(|worker| worker.wires.is_some());
        let worker = worker.ok_or_else(|| refused("a thread has no memory of its own"))?;
        let said = self.tell_all(&[worker], &command, &[], self.config.command_timeout).pop();
        let said = said.expect("one outcome for one worker")?;
        said.parse().map_err(|_| refused("it answered with no address"))
    }

    /// Has every worker load a symbol under this number, now and in later lives; an outcome for each process, by its place.
    pub fn register(&self, command: &Command) -> Vec<(usize, Result<String, CommandError>)> {
        self.announce(|roster| roster.registrations.push(command.clone()), command, &[])
    }

    /// Has every worker forget a callable.
    pub fn unregister(&self, callable: u16) -> Vec<(usize, Result<String, CommandError>)> {
        self.announce(|roster| roster.forget(callable), &Command::Unregister { callable }, &[])
    }

    /// The same without waiting for it: what a worker is told later comes behind it.
    pub fn forget(&self, callable: u16) {
        let mut roster = self.roster.lock().expect(POISON);
        roster.forget(callable);
        for worker in &roster.living {
            worker.tell(&Command::Unregister { callable }, &[]);
        }
    }
}

impl super::Roster {
    /// Workers that are made later do not learn of a callable.
    fn forget(&mut self, callable: u16) {
        let names =
            |command: &Command| matches!(command, Command::Register { callable: known, .. } if *known == callable);
        self.registrations.retain(|command| !names(command));
        self.inborn.retain(|command| !names(command));
    }
}

impl Sharers for Crew {
    fn shared(&self, buffer: &Arc<SharedBuffer>) -> Result<(), String> {
        if !self.is_owner() {
            return Err("this is a forked process; its workers belong to the original".to_owned());
        }
        if self.is_closing() {
            return Err("the runtime is closed".to_owned());
        }
        let command = buffer.import();
        let remember = |roster: &mut super::Roster| roster.buffers.push(buffer.clone());
        for (_, outcome) in self.announce(remember, &command, &[buffer.memory.fd()]) {
            match outcome {
                Ok(_) | Err(CommandError::Died { .. }) => {}
                Err(error) => {
                    self.released(buffer.id);
                    return Err(error.to_string());
                }
            }
        }
        Ok(())
    }

    fn released(&self, buffer: u64) {
        if !self.is_owner() {
            return;
        }
        let mut roster = self.roster.lock().expect(POISON);
        roster.buffers.retain(|known| known.id != buffer);
        for worker in &roster.living {
            // Nobody waits: the number is never used again, so it does not matter when the worker lets go.
            worker.tell(&Command::Release { buffer }, &[]);
        }
    }
}
