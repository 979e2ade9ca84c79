//! The end of all workers: orderly, by force where they do not go, and after a start that failed.

use super::incarnation::{Incarnation, Stage};
use super::{Crew, GONE, POISON};
use prewire_runtime_core::port::Token;
use rustix::process::{WaitOptions, waitpid};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Workers that did not end as they should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("closing: {}", .troubles.join("; "))]
pub struct CloseError {
    /// One sentence for each.
    pub troubles: Vec<String>,
}

/// How long a killed worker may take to be gone.
const KILL_GRACE: Duration = Duration::from_secs(5);

impl Crew {
    /// What the watcher looks at to know that it may leave.
    pub(super) fn closed_for_watcher(&self) -> bool {
        self.is_closing()
    }

    /// Tells every worker to end and waits for it, `patience` for all together; what is left then is killed. It is done once: whoever calls this meanwhile or
    /// later is told the same.
    ///
    /// # Errors
    /// If a worker had to be killed, or ended with anything but status 0.
    pub fn close(&self, patience: Duration) -> Result<(), CloseError> {
        if !self.is_owner() {
            return Ok(());
        }
        let mut closed = self.closed.lock().expect(POISON);
        closed.get_or_insert_with(|| self.end_all(patience)).clone()
    }

    /// Kills the worker processes that are inside a task; [`Crew::close`], which comes next, tells of them.
    pub fn kill_busy(&self, reason: &str) {
        if !self.is_owner() {
            return;
        }
        // From here on nobody is replaced.
        self.closing.store(true, Ordering::Release);
        let mut killed = self.killed.lock().expect(POISON);
        for worker in self.everybody() {
            if worker.is_process() && worker.is_busy() {
                worker.kill(reason);
                killed.push(worker);
            }
        }
    }

    /// Whether whoever closed it knows how it ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.lock().expect(POISON).is_some()
    }

    fn end_all(&self, patience: Duration) -> Result<(), CloseError> {
        self.closing.store(true, Ordering::Release);
        let mut workers = self.everybody();
        for worker in &workers {
            worker.mailbox().shut_down();
            worker.mailbox().bell.ring();
        }
        for killed in self.killed.lock().expect(POISON).drain(..) {
            if workers.iter().all(|worker| worker.number != killed.number) {
                workers.push(killed);
            }
        }
        let mut troubles = Vec::new();
        let gone = self.wait_for_all(&workers, Instant::now() + patience);
        if !gone {
            for worker in workers.iter().filter(|worker| !worker.has_ended()) {
                let name = &self.lanes[worker.lane].name;
                if worker.wires.is_some() {
                    worker.kill("it ignored the shutdown");
                } else {
                    troubles.push(format!("{name} is a thread worker that does not end, and cannot be killed"));
                }
            }
            self.wait_for_all(&workers, Instant::now() + KILL_GRACE);
        }
        for worker in workers.iter().filter(|worker| worker.wires.is_some()) {
            if let Some(trouble) = worker.trouble() {
                troubles.push(format!("{} {trouble}", self.lanes[worker.lane].name));
            }
        }
        self.dismiss();
        if troubles.is_empty() { Ok(()) } else { Err(CloseError { troubles }) }
    }

    /// Undoes a start: workers that were READY end in order, the others by force.
    pub(super) fn roll_back(&self) {
        self.closing.store(true, Ordering::Release);
        *self.closed.lock().expect(POISON) = Some(Ok(()));
        let workers = self.everybody();
        for worker in &workers {
            if worker.stage() == Stage::Ready || worker.wires.is_none() {
                worker.mailbox().shut_down();
                worker.mailbox().bell.ring();
            } else {
                worker.kill("the start was rolled back");
            }
        }
        if !self.wait_for_all(&workers, Instant::now() + KILL_GRACE) {
            workers.iter().for_each(|worker| worker.kill("the start was rolled back"));
            self.wait_for_all(&workers, Instant::now() + KILL_GRACE);
        }
        self.dismiss();
    }

    fn everybody(&self) -> Vec<Arc<Incarnation>> {
        self.roster.lock().expect(POISON).living.clone()
    }

    fn wait_for_all(&self, workers: &[Arc<Incarnation>], deadline: Instant) -> bool {
        let all = || workers.iter().all(|worker| worker.has_ended()).then_some(());
        self.events.wait_for(Some(deadline), all).is_some()
    }

    /// Ends what is left besides workers: threads that have run out, the watcher, the launcher.
    fn dismiss(&self) {
        for lane in &self.lanes {
            lane.availability.store(GONE, Ordering::Release);
        }
        for worker in &self.roster.lock().expect(POISON).living {
            if worker.is_dead()
                && let Some(thread) = worker.thread.lock().expect(POISON).take()
            {
                let _panicked = thread.join();
            }
        }
        self.nudge_watcher();
        let watcher = self.watcher.lock().expect(POISON).take();
        if let Some(watcher) = watcher
            && watcher.thread().id() != std::thread::current().id()
        {
            let _panicked = watcher.join();
        }
        if let Some(launcher) = self.launcher.lock().expect(POISON).take() {
            let pid = launcher.pid;
            // The closed channel is its sign to leave.
            launcher.channel.shut_down();
            drop(launcher);
            // Somebody else may have reaped it; only an interruption is tried again.
            while let Err(rustix::io::Errno::INTR) = waitpid(Some(pid), WaitOptions::empty()) {}
        }
    }
}

impl Incarnation {
    /// Whether it is inside a task.
    fn is_busy(&self) -> bool {
        let (running, beat) = self.mailbox().pulse();
        // Before its first task the word is zero, which is a token as well.
        beat != 0 && Token::from_register(running).is_some()
    }

    /// Whether nothing of it is left.
    fn has_ended(&self) -> bool {
        self.is_dead()
    }

    /// What was not in order about its end.
    fn trouble(&self) -> Option<String> {
        let facts = self.facts.lock().expect(POISON);
        match (&facts.stage, facts.exit, &facts.condemned) {
            (_, Some(crate::process::Exit::Status(0)), None) => None,
            (Stage::Dead(text) | Stage::Failed(text), ..) => Some(text.clone()),
            (Stage::Starting | Stage::Ready, ..) => Some("does not end".to_owned()),
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        // Whoever wants to know how the workers ended closes the crew; here it is only made sure that they do.
        let told = self.is_closed();
        if let Err(error) = self.close(Duration::from_secs(5))
            && !told
        {
            tracing::warn!("{error}");
        }
    }
}
