//! The runs that are accepted and not over, in their order: a record for each, and the turns of those who want one.

use super::lifecycle::Failed;
use super::notice::Notice;
use super::report::Report;
use prewire_orchestrator::{EdgeLog, OrchestratorReport, RunSpan};
use prewire_runtime_core::error::{RunError, SubmitError};
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::kernel::KernelSet;
use prewire_runtime_core::run::RUNS_MOST;
use prewire_runtime_core::sync::thread::{self, ThreadId};
use prewire_runtime_core::sync::{Instant, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What a run came to.
pub(super) type RunResult = Result<Report, Failed>;

/// One run.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: u32,
    /// Where the graph has its state.
    pub(super) place: usize,
    pub(super) kernels: Arc<KernelSet>,
    pub(super) begun_ns: u64,
    stage: Mutex<Stage>,
    changed: Notice,
}

/// How far a run is.
#[derive(Debug, Default)]
struct Stage {
    started: Started,
    built: Option<Arc<Built>>,
    result: Option<Arc<RunResult>>,
}

/// What the machine has to do with a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Started {
    /// It waits behind others.
    #[default]
    NotYet,
    /// Its tasks run.
    Yes,
    /// It cannot be run, for this reason.
    Never(String),
}

/// What is known once a run's callback has returned.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) orchestrated: OrchestratorReport,
    pub(super) span: Option<RunSpan>,
    pub(super) scopes_left_open: usize,
    pub(super) log: Option<EdgeLog>,
    /// What the callback returned.
    pub(super) returned: Result<(), SubmitError>,
    /// The error that ends the run, which is the callback's own.
    pub(super) ended_by: Option<RunError>,
}

impl Built {
    /// Of a run whose callback was never called.
    pub(super) fn nothing() -> Self {
        Built {
            orchestrated: OrchestratorReport::default(),
            span: None,
            scopes_left_open: 0,
            log: None,
            returned: Ok(()),
            ended_by: None,
        }
    }
}

const POISON: &str = "no code panics while it holds the record of runs";

impl Record {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().expect(POISON)
    }

    pub(super) fn started(&self) -> Started {
        self.stage().started.clone()
    }

    pub(super) fn set_started(&self, started: Started) {
        self.stage().started = started;
    }

    pub(super) fn built(&self) -> Option<Arc<Built>> {
        self.stage().built.clone()
    }

    pub(super) fn set_built(&self, built: Built) {
        self.stage().built = Some(Arc::new(built));
    }

    pub(super) fn result(&self) -> Option<Arc<RunResult>> {
        self.stage().result.clone()
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage().result.is_some()
    }

    pub(super) fn set_result(&self, result: RunResult) {
        self.stage().result = Some(Arc::new(result));
        self.changed.tell();
    }

    /// Sleeps until the run is over, or until the deadline.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<Arc<RunResult>> {
        let mut stage = self.stage();
        loop {
            if stage.result.is_some() {
                return stage.result.clone();
            }
            stage = match deadline {
                None => self.changed.wait(stage, None),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.changed.wait(stage, Some(left))
                }
            };
        }
    }
}

/// The row of accepted runs.
#[derive(Debug)]
pub(super) struct Runs {
    row: Mutex<Row>,
    changed: Notice,
    depth: usize,
}

#[derive(Debug, Default)]
struct Row {
    /// The head first.
    accepted: VecDeque<Arc<Record>>,
    last: u32,
    closed: bool,
    /// Whose callback is open, or about to be.
    turn: Option<ThreadId>,
    /// The places of the graph's states that are taken, a bit each.
    places: u32,
}

/// Why a run was not accepted yet.
#[derive(Debug)]
pub(super) enum NotAccepted {
    /// It never will be.
    Refused(RunError),
    /// Others come first.
    Wait,
}

impl Runs {
    pub(super) fn new(depth: usize) -> Self {
        debug_assert!((1..=RUNS_MOST - 1).contains(&depth));
        Runs { row: Mutex::default(), changed: Notice::default(), depth }
    }

    fn row(&self) -> MutexGuard<'_, Row> {
        self.row.lock().expect(POISON)
    }

    /// Accepts a run and gives its caller the turn, if both can be now.
    pub(super) fn accept(
        &self,
        graph: &Graph,
        kernels: &Arc<KernelSet>,
        now_ns: u64,
    ) -> Result<Arc<Record>, NotAccepted> {
        let mut row = self.row();
        self.may_accept(&row)?;
        Ok(Self::accept_into(&mut row, graph, kernels, now_ns))
    }

    fn may_accept(&self, row: &Row) -> Result<(), NotAccepted> {
        if row.turn == Some(thread::current().id()) {
            return Err(NotAccepted::Refused(RunError::Inside));
        }
        if row.closed {
            return Err(NotAccepted::Refused(RunError::Closed));
        }
        let free = row.turn.is_none() && row.accepted.len() < self.depth && row.places.count_ones() < RUNS_MOST as u32;
        if free { Ok(()) } else { Err(NotAccepted::Wait) }
    }

    fn accept_into(row: &mut Row, graph: &Graph, kernels: &Arc<KernelSet>, begun_ns: u64) -> Arc<Record> {
        row.last += 1;
        row.turn = Some(thread::current().id());
        let place = row.places.trailing_ones() as usize;
        row.places |= 1 << place;
        graph.run.at(place).begin_at_gate(row.last, row.accepted.is_empty());
        let record = Arc::new(Record {
            id: row.last,
            place,
            kernels: kernels.clone(),
            begun_ns,
            stage: Mutex::default(),
            changed: Notice::default(),
        });
        row.accepted.push_back(record.clone());
        record
    }

    /// Sleeps until a run may be accepted, or refused, or for `timeout`.
    pub(super) fn wait_for_turn(&self, timeout: Duration) {
        let row = self.row();
        if let Err(NotAccepted::Wait) = self.may_accept(&row) {
            let _woken = self.changed.wait(row, Some(timeout));
        }
    }

    /// The callback that had the turn is over.
    pub(super) fn end_turn(&self) {
        self.row().turn = None;
        self.changed.tell();
    }

    pub(super) fn head(&self) -> Option<Arc<Record>> {
        self.row().accepted.front().cloned()
    }

    /// The runs that are accepted and not over.
    pub(super) fn accepted(&self) -> Vec<Arc<Record>> {
        self.row().accepted.iter().cloned().collect()
    }

    /// How many runs are accepted and not over.
    pub(super) fn in_flight(&self) -> usize {
        self.row().accepted.len()
    }

    /// Runs `body` only if no run is in flight; none is accepted meanwhile.
    pub(super) fn if_quiet<T>(&self, body: impl FnOnce() -> T) -> Result<T, usize> {
        let row = self.row();
        if row.accepted.is_empty() { Ok(body()) } else { Err(row.accepted.len()) }
    }

    /// Does something to the state of a run, if it is not over: later the state may be another's.
    pub(super) fn if_in_flight<T>(&self, record: &Arc<Record>, body: impl FnOnce() -> T) -> Option<T> {
        let row = self.row();
        row.accepted.iter().any(|accepted| Arc::ptr_eq(accepted, record)).then(body)
    }

    /// The first run behind the head that `which` picks.
    pub(super) fn find_behind_head(&self, which: impl Fn(&Record) -> bool) -> Option<Arc<Record>> {
        self.row().accepted.iter().skip(1).find(|record| which(record)).cloned()
    }

    /// Takes a run that is over out of the row. Its place is free again, unless it is to be kept.
    pub(super) fn remove(&self, record: &Arc<Record>, keep_place: bool) {
        let mut row = self.row();
        row.accepted.retain(|accepted| !Arc::ptr_eq(accepted, record));
        if !keep_place {
            row.places &= !(1 << record.place);
        }
        self.changed.tell();
    }

    /// Frees a place that was kept.
    pub(super) fn free_place(&self, place: usize) {
        self.row().places &= !(1 << place);
        self.changed.tell();
    }

    /// Refuses runs from now on. False if the caller's own callback is open.
    pub(super) fn close(&self) -> bool {
        let mut row = self.row();
        if row.turn == Some(thread::current().id()) {
            return false;
        }
        row.closed = true;
        self.changed.tell();
        true
    }

    /// Sleeps until no run is in flight, or for `timeout`.
    pub(super) fn wait_until_quiet(&self, timeout: Duration) {
        let row = self.row();
        if !row.accepted.is_empty() {
            let _woken = self.changed.wait(row, Some(timeout));
        }
    }
}
