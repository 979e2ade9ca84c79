//! Runs what a seed stands for and judges how it ended: by the interpreter's bytes, by the error that the trouble leads to, and by what must hold of
//! every run.

use super::difference::difference;
use super::generator::{Limits, generate};
use super::interpreter::{Outcome, interpret};
use super::plan::{FAILURE, Plan, Trouble};
use super::program::Program;
use super::runner::{Manner, NoOutcome, Ran, Runner};
use prewire::{Failed, Fatal, Kernel, Report, RunError, StallClass, TaskId};
use std::collections::HashMap;
use std::time::Duration;

/// Longer than any run may take: the watchdog's ten seconds, and what goes before.
const LONGEST: Duration = Duration::from_secs(30);

/// How a run ended, rightly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// With the interpreter's result, and nothing went wrong.
    Right,
    /// With the interpreter's result in spite of the trouble.
    RightAllTheSame,
    /// With the error that the trouble leads to.
    Error,
    /// With the interpreter's result, once the hints of errors were followed.
    RightByHints,
}

/// Runs the case of a seed.
///
/// # Errors
/// What is wrong, and the line that runs it again.
pub(crate) fn check(seed: u64) -> Result<Ending, String> {
    check_against(seed, interpret)
}

/// As [`check`], with another opinion of what a program leaves behind.
pub(crate) fn check_against(seed: u64, opinion: impl Fn(&Program) -> Outcome) -> Result<Ending, String> {
    let plan = Plan::of(seed);
    judge(&plan, opinion)
        .map_err(|text| format!("{text}\n  {plan:?}\n  again: cargo xtask simulate --seeds 1 --start {seed}"))
}

fn runner(plan: &Plan, window: u64, heap: u64, edges: u64) -> Runner {
    // A thread that writes late would take its time by the wall's clock.
    let manner = Manner { gangs: true, meets: plan.may_wait, late: false };
    let lasting = |kernel: Kernel| plan.lasting.map_or(kernel.clone(), |time| kernel.lasting(time));
    Runner::new(plan.runtime(window, heap, edges), manner, lasting)
}

fn judge(plan: &Plan, opinion: impl Fn(&Program) -> Outcome) -> Result<Ending, String> {
    let program = plan.program();
    let expected = opinion(&program);
    let (mut window, mut heap, mut edges) = (plan.window as u64, plan.heap, plan.edges);
    let mut hints = 0;
    let (mut runner, ending) = loop {
        let mut runner = runner(plan, window, heap, edges);
        let failed = match runner.run(&program) {
            Ok(ran) => {
                passed(plan, &ran, &expected)?;
                let ending = match plan.trouble {
                    Trouble::Nothing => Ending::Right,
                    _ if hints > 0 => Ending::RightByHints,
                    _ => Ending::RightAllTheSame,
                };
                break (runner, ending);
            }
            Err(NoOutcome::Failed(failed)) => failed,
            Err(NoOutcome::Otherwise(text)) => return Err(text),
        };
        always(&failed.report)?;
        if plan.trouble != Trouble::SmallRings {
            ended(plan, &failed)?;
            break (runner, Ending::Error);
        }
        // Rings that are too small: following the hints makes the program pass.
        let before = (window, heap, edges);
        match &*failed.error {
            RunError::Fatal(Fatal::ScopeDeadlock { sufficient, .. } | Fatal::WindowDeadlock { sufficient, .. }) => {
                window = window.max(*sufficient);
            }
            RunError::Fatal(Fatal::HeapDeadlock { sufficient, .. } | Fatal::HeapTooSmall { sufficient, .. }) => {
                heap = heap.max(*sufficient);
            }
            RunError::Fatal(Fatal::EdgePoolOverflow { sufficient, .. }) => edges = edges.max(*sufficient),
            other => return Err(format!("rings that are too small end with {other}")),
        }
        hints += 1;
        if before == (window, heap, edges) || hints > 12 {
            return Err(format!("the hints lead nowhere, at {before:?}: {}", failed.error));
        }
    };
    // Whatever happened, the chip works again once nothing goes wrong.
    plan.repair(&mut runner.runtime);
    let program = generate(plan.seed + 1, Limits { tasks: 20, window: 4, failing: true });
    let expected = interpret(&program);
    match runner.run(&program) {
        Ok(ran) => {
            passed(plan, &ran, &expected).map_err(|text| format!("afterwards, {text}"))?;
            Ok(ending)
        }
        // Rings that suffice for the program before may be too small for this one.
        Err(NoOutcome::Failed(failed)) if plan.trouble == Trouble::SmallRings && (1..=4).contains(&code(&failed)) => {
            Ok(ending)
        }
        Err(error) => Err(format!("afterwards, {error}")),
    }
}

fn code(failed: &Failed) -> u16 {
    failed.error.code().map_or(0, |code| code.number())
}

/// A run that ended as the interpreter says: its bytes, its tasks, and nothing left over.
fn passed(plan: &Plan, ran: &Ran, expected: &Outcome) -> Result<(), String> {
    let report = &ran.report;
    always(report)?;
    if let Some(text) = difference(ran, expected) {
        return Err(text);
    }
    order(report)?;
    if let Trouble::Hangs(core) | Trouble::Fails(core) = plan.trouble
        && report.blocks.iter().flatten().any(|block| block.core == core)
        && report.run == 1
    {
        return Err(format!("a run passed although core {} had a fault", core.0));
    }
    Ok(())
}

/// What holds of every run, however it ended.
fn always(report: &Report) -> Result<(), String> {
    if let Some(finding) = report.findings.first() {
        return Err(finding.clone());
    }
    if report.elapsed > LONGEST {
        return Err(format!("the run took {:?}", report.elapsed));
    }
    Ok(())
}

/// No task starts before all it depends on has ended.
fn order(report: &Report) -> Result<(), String> {
    let Some(graph) = &report.graph else { return Ok(()) };
    let mut spans: HashMap<TaskId, (u64, u64)> = HashMap::new();
    for block in report.blocks.iter().flatten() {
        let span = spans.entry(block.task).or_insert((u64::MAX, 0));
        *span = (span.0.min(block.start_ns), span.1.max(block.end_ns));
    }
    for (producer, consumer) in graph.pairs() {
        if let (Some(&(_, end_ns)), Some(&(start_ns, _))) = (spans.get(&producer), spans.get(&consumer))
            && start_ns < end_ns
        {
            return Err(format!("task {consumer} started at {start_ns}, before task {producer} ended at {end_ns}"));
        }
    }
    Ok(())
}

/// A run that ended with an error: it must be the one that the trouble leads to.
fn ended(plan: &Plan, failed: &Failed) -> Result<(), String> {
    let right = match (&plan.trouble, &*failed.error) {
        (Trouble::Hangs(core), RunError::Fatal(Fatal::Stalled(report))) => {
            let name = failed.report.chip.core_name(*core);
            // Whoever waits for a kernel on that core runs as long.
            let most = if plan.may_wait { report.running_tasks.len() } else { 1 };
            report.class == StallClass::RunningStalled
                && report.running_tasks.iter().take(most).any(|running| running.core == name)
        }
        (Trouble::Fails(core), RunError::KernelFailed { first, .. }) => {
            first.code == FAILURE && first.core == failed.report.chip.core_name(*core)
        }
        (Trouble::LosesTask(_), RunError::Fatal(Fatal::Stalled(report))) => {
            report.class == StallClass::DependencyDeadlock
        }
        // The submitter is out of room, and nothing that it waits for runs or is ready.
        (Trouble::LosesTask(_), RunError::Fatal(_)) => matches!(code(failed), 1..=4),
        _ => false,
    };
    if right { Ok(()) } else { Err(format!("{:?} ended with {failed}", plan.trouble)) }
}
