//! The report of a run that stands still.

use crate::id::TaskId;
use std::fmt;

/// What kind of standstill it is, by what there is: a running task, else a ready one, else a waiting one, else an unfinished orchestration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StallClass {
    /// A task runs on a core and shows no sign of life.
    RunningStalled = 1,
    /// A task is ready and nobody dispatches it.
    ReadyIdle = 3,
    /// Tasks wait and nothing that they wait for runs.
    DependencyDeadlock = 4,
    /// Everything submitted is done and the orchestration does not go on.
    OrchestratorStarvation = 5,
    /// None of these.
    Unknown = 99,
}

impl StallClass {
    /// The class for these counts.
    pub const fn of(running: u64, ready: u64, waiting: u64, orchestration_done: bool) -> StallClass {
        if running > 0 {
            StallClass::RunningStalled
        } else if ready > 0 {
            StallClass::ReadyIdle
        } else if waiting > 0 {
            StallClass::DependencyDeadlock
        } else if !orchestration_done {
            StallClass::OrchestratorStarvation
        } else {
            StallClass::Unknown
        }
    }

    /// The class in words.
    pub const fn name(self) -> &'static str {
        match self {
            StallClass::RunningStalled => "running stalled",
            StallClass::ReadyIdle => "ready idle",
            StallClass::DependencyDeadlock => "dependency deadlock",
            StallClass::OrchestratorStarvation => "orchestrator starvation",
            StallClass::Unknown => "unknown",
        }
    }
}

/// A task on a core.
#[derive(Clone, Debug)]
pub struct RunningTask {
    /// The task.
    pub task: TaskId,
    /// Its kernel there.
    pub kernel: String,
    /// The core, such as `AIV_13`.
    pub core: String,
    /// How long it has run, or since its last sign of life, in milliseconds.
    pub running_ms: u64,
    /// The budget it exceeded or still has, in milliseconds.
    pub budget_ms: u64,
}

/// A task that waits.
#[derive(Clone, Debug)]
pub struct WaitingTask {
    /// The task.
    pub task: TaskId,
    /// The producers that are not done.
    pub missing: Vec<TaskId>,
    /// What else it waits for, such as a counter with its value and the expected one.
    pub condition: Option<String>,
}

/// What a run that stands still looks like.
#[derive(Clone, Debug)]
pub struct StallReport {
    /// Which kind of standstill.
    pub class: StallClass,
    /// The budget that was exceeded, in milliseconds.
    pub budget_ms: u64,
    /// Tasks submitted and completed.
    pub submitted: u64,
    /// Tasks completed.
    pub completed: u64,
    /// Tasks on cores.
    pub running: u64,
    /// Tasks in ready queues or in a thread's hand.
    pub ready: u64,
    /// Tasks that wait for producers or conditions.
    pub waiting: u64,
    /// Whether the orchestration has finished.
    pub orchestration_done: bool,
    /// Up to [`StallReport::MOST_RUNNING`] running tasks, the stuck one first.
    pub running_tasks: Vec<RunningTask>,
    /// Up to [`StallReport::MOST_READY`] ready tasks.
    pub ready_tasks: Vec<TaskId>,
    /// Up to [`StallReport::MOST_WAITING`] waiting tasks.
    pub waiting_tasks: Vec<WaitingTask>,
}

impl StallReport {
    /// How many running tasks are listed.
    pub const MOST_RUNNING: usize = 8;
    /// How many ready tasks are listed.
    pub const MOST_READY: usize = 8;
    /// How many waiting tasks are listed.
    pub const MOST_WAITING: usize = 4;
}

impl fmt::Display for StallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (class {}) beyond a budget of {} ms: {} of {} tasks completed, {} running, {} ready, {} waiting, orchestration {}",
            self.class.name(),
            self.class as u8,
            self.budget_ms,
            self.completed,
            self.submitted,
            self.running,
            self.ready,
            self.waiting,
            if self.orchestration_done { "finished" } else { "not finished" },
        )?;
        for task in &self.running_tasks {
            write!(
                f,
                "; running: task {}, kernel {}, on {}, for {} ms (budget {} ms)",
                task.task, task.kernel, task.core, task.running_ms, task.budget_ms
            )?;
        }
        for task in &self.ready_tasks {
            write!(f, "; ready: task {task}")?;
        }
        for task in &self.waiting_tasks {
            write!(f, "; waiting: task {}", task.task)?;
            if !task.missing.is_empty() {
                write!(f, " for {:?}", task.missing)?;
            }
            if let Some(condition) = &task.condition {
                write!(f, " for {condition}")?;
            }
        }
        Ok(())
    }
}
