//! The watcher: one thread that sleeps until a worker says something, or ends, or the launcher does.

use super::incarnation::{Incarnation, Stage};
use super::{BORN, Crew, DOWN, GONE, Origin, POISON, UP};
use crate::process::{Command, Exit, LauncherReport, WorkerReport, reap};
use crate::wire::{LAYOUT_HASH, VERSION};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long the end of a process waits for the launcher's word on how it ended: it comes at once, unless the machine has no time. Where there is no launcher any more
/// nobody waits.
const LAUNCHER_GRACE: Duration = Duration::from_secs(5);
/// How long a spawned process may go on behind the end of the pipe that shows that it lives.
const STATUS_GRACE: Duration = Duration::from_millis(500);

impl Crew {
    pub(super) fn start_watching(self: &Arc<Self>) -> io::Result<()> {
        let crew = Arc::downgrade(self);
        let thread = std::thread::Builder::new().name("worker-watch".to_owned()).spawn(move || watch(&crew))?;
        *self.watcher.lock().expect(POISON) = Some(thread);
        Ok(())
    }
}

/// What a descriptor that woke the watcher belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Nudge,
    Launcher,
    Control(usize),
    Life(usize),
}

fn watch(crew: &Weak<Crew>) {
    let mut launcher_open = true;
    while let Some(crew) = crew.upgrade() {
        if crew.watch_once(&mut launcher_open) {
            return;
        }
    }
}

impl Crew {
    /// Sleeps until something happens and takes it in. True once nothing is left to watch and the crew closes.
    fn watch_once(self: &Arc<Self>, launcher_open: &mut bool) -> bool {
        let living: Vec<Arc<Incarnation>> = self.roster.lock().expect(POISON).living.clone();
        let processes: Vec<_> = living.iter().filter(|worker| worker.wires.is_some()).cloned().collect();
        if self.closed_for_watcher() && processes.is_empty() {
            return true;
        }
        let launcher = self.launcher.lock().expect(POISON);
        let channel =
            launcher.as_ref().filter(|_| *launcher_open).map(|launcher| launcher.channel.as_fd().try_clone_to_owned());
        drop(launcher);
        let channel = channel.and_then(Result::ok);
        let mut sources = vec![Source::Nudge];
        let mut events = vec![PollFd::new(&self.nudge, PollFlags::IN)];
        if let Some(channel) = &channel {
            sources.push(Source::Launcher);
            events.push(PollFd::new(channel, PollFlags::IN));
        }
        let mut timeout = None;
        for (at, worker) in processes.iter().enumerate() {
            let wires = worker.wires.as_ref().expect("a process");
            let facts = worker.facts.lock().expect(POISON);
            if facts.quiet.is_none() {
                sources.extend([Source::Control(at), Source::Life(at)]);
                events.push(PollFd::new(&wires.control, PollFlags::IN));
                events.push(PollFd::new(&wires.life, PollFlags::IN));
            } else {
                timeout = Some(Timespec { tv_sec: 0, tv_nsec: 50_000_000 });
            }
        }
        match poll(&mut events, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => tracing::error!("workers cannot be watched: {error}"),
        }
        let happened: Vec<Source> = sources
            .iter()
            .zip(&events)
            .filter(|(_, event)| !event.revents().is_empty())
            .map(|(&source, _)| source)
            .collect();
        drop(events);
        for source in happened {
            match source {
                Source::Nudge => {
                    let mut counter = [0u8; 8];
                    let _read = rustix::io::read(&self.nudge, &mut counter);
                }
                Source::Launcher => *launcher_open = self.hear_launcher(),
                Source::Control(at) => self.hear(&processes[at]),
                Source::Life(at) => {
                    let worker = &processes[at];
                    // Everything that it said before its end comes first.
                    while self.hear_if_any(worker) {}
                    worker.facts.lock().expect(POISON).quiet = Some(Instant::now());
                }
            }
        }
        for worker in &processes {
            self.bury(worker, *launcher_open);
        }
        false
    }

    fn hear_launcher(&self) -> bool {
        let received = {
            let launcher = self.launcher.lock().expect(POISON);
            let Some(launcher) = launcher.as_ref() else { return false };
            launcher.channel.receive()
        };
        let Ok(Some((message, descriptors))) = received else { return false };
        let find = |number: u64| {
            self.roster.lock().expect(POISON).living.iter().find(|worker| worker.number == number).cloned()
        };
        match LauncherReport::decode(&message) {
            Some(LauncherReport::Started { incarnation, pid }) => {
                if let Some(worker) = find(incarnation) {
                    let mut facts = worker.facts.lock().expect(POISON);
                    facts.pid = Some(pid);
                    facts.pidfd = descriptors.into_iter().next();
                    let condemned = facts.condemned.clone();
                    drop(facts);
                    // Somebody gave it up before it was there.
                    if let Some(reason) = condemned {
                        worker.kill(&reason);
                    }
                }
            }
            Some(LauncherReport::Exited { incarnation, exit }) => {
                if let Some(worker) = find(incarnation) {
                    worker.facts.lock().expect(POISON).exit = Some(exit);
                }
            }
            None => return false,
        }
        self.events.happened();
        true
    }

    fn hear_if_any(self: &Arc<Self>, worker: &Arc<Incarnation>) -> bool {
        let Some(wires) = &worker.wires else { return false };
        let mut events = [PollFd::new(&wires.control, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let any = poll(&mut events, Some(&now)).is_ok_and(|count| count > 0);
        any && events[0].revents().contains(PollFlags::IN) && self.hear_one(worker)
    }

    fn hear(self: &Arc<Self>, worker: &Arc<Incarnation>) {
        if !self.hear_one(worker) {
            // It has closed its channel: its life pipe says the rest. Until then there is nothing to hear.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn hear_one(self: &Arc<Self>, worker: &Arc<Incarnation>) -> bool {
        let Some(wires) = &worker.wires else { return false };
        let Ok(Some((message, _))) = wires.control.receive() else { return false };
        let mut facts = worker.facts.lock().expect(POISON);
        let mut condemn = None;
        match WorkerReport::decode(&message) {
            Some(WorkerReport::Ready { version, layout }) => {
                if (version, layout) == (VERSION.into(), LAYOUT_HASH) {
                    facts.stage = Stage::Ready;
                } else {
                    let reason = format!(
                        "it was built for protocol version {version} and layout {layout:016x}, the runtime for {VERSION} and {LAYOUT_HASH:016x}"
                    );
                    facts.stage = Stage::Failed(reason.clone());
                    condemn = Some(reason);
                }
            }
            Some(WorkerReport::Failed { reason }) => facts.stage = Stage::Failed(reason),
            Some(WorkerReport::Done { sequence, text }) => {
                let unawaited = facts.unawaited.iter().position(|&known| known == sequence);
                match unawaited {
                    Some(at) => drop(facts.unawaited.swap_remove(at)),
                    None => drop(facts.replies.insert(sequence, Ok(text))),
                }
            }
            Some(WorkerReport::Refused { sequence, reason }) => {
                if sequence == Command::UNANSWERED || facts.unawaited.contains(&sequence) {
                    condemn = Some(reason);
                } else {
                    facts.replies.insert(sequence, Err(reason));
                }
            }
            None => condemn = Some("it said something that means nothing".to_owned()),
        }
        // READY counts once all that it was told before has been taken in.
        let complete = facts.stage == Stage::Ready && facts.unawaited.is_empty();
        drop(facts);
        if let Some(reason) = condemn {
            worker.kill(&reason);
        }
        if complete {
            self.promote(worker);
        }
        self.events.happened();
        true
    }

    /// A replacement that is READY takes over, when the scheduler next gives its core something.
    fn promote(&self, worker: &Arc<Incarnation>) {
        let lane = &self.lanes[worker.lane];
        let is_current = lane.with_current(|current| current.is_some_and(|current| current.number == worker.number));
        let was_down = lane.availability.load(Ordering::Acquire) == DOWN;
        if !is_current && was_down && !self.is_closing() {
            *lane.next.lock().expect(POISON) = Some(worker.clone());
            self.set_availability(lane, UP);
        }
    }

    /// A worker of which nothing is left is declared dead, and replaced if it may be.
    fn bury(self: &Arc<Self>, worker: &Arc<Incarnation>, launcher_open: bool) {
        if self.lanes[worker.lane].plan.origin == Origin::Spawn && !self.is_reaped(worker) {
            return;
        }
        let (text, before) = {
            let mut facts = worker.facts.lock().expect(POISON);
            if cfg!(prewire_mutation = "deaths_before_quiet") && facts.exit.is_some() {
                facts.quiet.get_or_insert_with(Instant::now);
            }
            let Some(quiet) = facts.quiet else { return };
            let exit = match facts.exit {
                Some(exit) => exit,
                None if launcher_open && quiet.elapsed() < LAUNCHER_GRACE => return,
                None => Exit::Unknown,
            };
            let pid = facts.pid.map_or_else(|| "pid unknown".to_owned(), |pid| format!("pid {pid}"));
            let text = match &facts.condemned {
                Some(reason) => format!("({pid}) {exit}: {reason}"),
                None => format!("({pid}) {exit}"),
            };
            let before = facts.stage.clone();
            // What it said about its own start says more.
            if !matches!(before, Stage::Failed(_)) {
                facts.stage = Stage::Dead(text.clone());
            }
            (text, before)
        };
        let replaced = !self.is_closing() && (self.has_started() || before == Stage::Ready);
        // Before the scheduler sees that the worker's task is over, it sees that there is nobody to give the next one to.
        let again = replaced && self.retire(worker, &text);
        worker.dead.store(true, Ordering::Release);
        self.roster.lock().expect(POISON).living.retain(|living| living.number != worker.number);
        self.events.happened();
        self.board.ring_scheduler();
        if again {
            self.replace(worker);
        }
    }

    /// Whether a program of its own has ended, whose parent is this process and not the launcher. One that has let go of the pipe that shows that it lives, and
    /// lives, is ended.
    fn is_reaped(self: &Arc<Self>, worker: &Arc<Incarnation>) -> bool {
        let mut facts = worker.facts.lock().expect(POISON);
        if facts.quiet.is_none() || facts.exit.is_some() {
            return true;
        }
        facts.exit = facts.pidfd.as_ref().and_then(reap);
        let (ended, late) = (facts.exit.is_some(), facts.quiet.is_some_and(|quiet| quiet.elapsed() >= STATUS_GRACE));
        drop(facts);
        if late && !ended {
            worker.kill("it let go of the pipe that shows that it lives");
        }
        // What it said last may have come behind the pipe's end.
        while ended && self.hear_if_any(worker) {}
        ended
    }

    /// Whether the barrier was passed.
    fn has_started(&self) -> bool {
        self.lanes.iter().all(|lane| lane.availability.load(Ordering::Acquire) != BORN)
    }

    /// A worker takes no more tasks. True if it is to be replaced.
    fn retire(&self, worker: &Arc<Incarnation>, text: &str) -> bool {
        let lane = &self.lanes[worker.lane];
        tracing::warn!("{} {text}", lane.name);
        let left = lane.restarts.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        self.set_availability(lane, if left.is_ok() { DOWN } else { GONE });
        left.is_ok()
    }

    fn replace(self: &Arc<Self>, worker: &Arc<Incarnation>) {
        if let Err(error) = self.embody(worker.lane) {
            let lane = &self.lanes[worker.lane];
            tracing::error!("{} cannot be replaced: {error}", lane.name);
            self.set_availability(lane, GONE);
        }
    }
}
