//! Makes a failing program small: steps, arguments and attributes go as long as it still fails.

use super::program::{Argument, Kind, Program, Step, TaskStep, View};

/// The smallest program that this finds for which `fails` is still true. The program given is one.
pub(crate) fn shrink(program: &Program, fails: &mut dyn FnMut(&Program) -> bool) -> Program {
    let mut smallest = program.clone();
    loop {
        let before = smallest.clone();
        drop_steps(&mut smallest, fails);
        drop_arguments(&mut smallest, fails);
        simplify(&mut smallest, fails);
        if smallest == before {
            return smallest;
        }
    }
}

/// Leaves out runs of steps, long ones first.
fn drop_steps(smallest: &mut Program, fails: &mut dyn FnMut(&Program) -> bool) {
    let mut length = smallest.steps.len() / 2;
    while length > 0 {
        let mut start = 0;
        while start < smallest.steps.len() {
            let end = start + length;
            if !try_instead(smallest, rebuild(smallest, |step| !(start..end).contains(&step), |_, _| true), fails) {
                start = end;
            }
        }
        length /= 2;
    }
}

fn drop_arguments(smallest: &mut Program, fails: &mut dyn FnMut(&Program) -> bool) {
    let mut step = 0;
    while step < smallest.steps.len() {
        let mut argument = 0;
        while matches!(&smallest.steps[step], Step::Task(task) if argument < task.arguments.len()) {
            let without = rebuild(smallest, |_| true, |at, number| (at, number) != (step, argument));
            if !try_instead(smallest, without, fails) {
                argument += 1;
            }
        }
        step += 1;
    }
}

/// Makes each task as plain as it can be.
fn simplify(smallest: &mut Program, fails: &mut dyn FnMut(&Program) -> bool) {
    const PLAINER: [fn(&mut TaskStep); 8] = [
        |task| task.predicate = None,
        |task| task.fails = None,
        |task| task.deferred = false,
        |task| task.gang = false,
        |task| task.dependencies.clear(),
        |task| {
            task.blocks = 1;
            task.fails = task.fails.map(|_| 0);
        },
        |task| {
            if matches!(task.kind, Kind::Mix(_)) {
                task.kind = Kind::Vector;
                task.fails = task.fails.map(|_| 0);
            }
        },
        |task| task.salt = 0,
    ];
    for step in 0..smallest.steps.len() {
        for plainer in PLAINER {
            let mut other = smallest.clone();
            if let Step::Task(task) = &mut other.steps[step] {
                plainer(task);
            }
            try_instead(smallest, other, fails);
        }
    }
}

fn try_instead(smallest: &mut Program, other: Program, fails: &mut dyn FnMut(&Program) -> bool) -> bool {
    let better = other != *smallest && fails(&other);
    if better {
        *smallest = other;
    }
    better
}

/// The program of some of the steps and some of their arguments. What names memory or a task that is gone goes, too; buffers and tasks are numbered anew.
fn rebuild(
    program: &Program,
    keeps_step: impl Fn(usize) -> bool,
    keeps_argument: impl Fn(usize, usize) -> bool,
) -> Program {
    let stays = whole_scopes(program, keeps_step);
    let mut buffers: Vec<Option<usize>> = (0..program.external.len()).map(Some).collect();
    let (mut tasks, mut next_buffer, mut next_task) = (Vec::new(), program.external.len(), 0);
    let mut steps = Vec::new();
    for (at, step) in program.steps.iter().enumerate() {
        let moved = |view: &View| Some(View { buffer: buffers[view.buffer]?, ..view.clone() });
        let mut made = Vec::new();
        let kept = match step {
            Step::Open | Step::Close => Some(step.clone()),
            Step::Get { view, indices } => moved(view).map(|view| Step::Get { view, indices: indices.clone() }),
            Step::Set { view, indices, value } => {
                moved(view).map(|view| Step::Set { view, indices: indices.clone(), value: *value })
            }
            Step::Allocate { outputs } => {
                made = vec![stays[at]; outputs.len()];
                Some(step.clone())
            }
            Step::Task(task) => {
                let mut arguments = Vec::new();
                for (number, argument) in task.arguments.iter().enumerate() {
                    let keeps = stays[at] && keeps_argument(at, number);
                    let argument = match argument {
                        Argument::Output(..) => {
                            made.push(keeps);
                            keeps.then(|| argument.clone())
                        }
                        Argument::Input(view) => moved(view).map(Argument::Input),
                        Argument::InOut(view) => moved(view).map(Argument::InOut),
                        Argument::OutputExisting(view) => moved(view).map(Argument::OutputExisting),
                        Argument::NoDependency(view) => moved(view).map(Argument::NoDependency),
                    };
                    arguments.extend(argument.filter(|_| keeps));
                }
                let predicate = task.predicate.clone().and_then(|mut predicate| {
                    predicate.view = moved(&predicate.view)?;
                    Some(predicate)
                });
                let dependencies = task.dependencies.iter().filter_map(|&producer| tasks[producer]).collect();
                Some(Step::Task(TaskStep { arguments, predicate, dependencies, ..task.clone() }))
            }
        };
        let is_task = matches!(step, Step::Task(_) | Step::Allocate { .. });
        let kept = kept.filter(|_| stays[at]);
        for made in made {
            buffers.push(made.then_some(next_buffer));
            next_buffer += usize::from(made);
        }
        if is_task {
            tasks.push(kept.is_some().then_some(next_task));
            next_task += usize::from(kept.is_some());
        }
        steps.extend(kept);
    }
    Program { seed: program.seed, external: program.external.clone(), steps }
}

/// Which steps stay if a scope goes as a whole: its beginning with its end.
fn whole_scopes(program: &Program, keeps_step: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut stays: Vec<bool> = (0..program.steps.len()).map(keeps_step).collect();
    let mut open = Vec::new();
    for (at, step) in program.steps.iter().enumerate() {
        match step {
            Step::Open => open.push(at),
            Step::Close => {
                let opened = open.pop().expect("scopes are balanced");
                let both = stays[opened] && stays[at];
                (stays[opened], stays[at]) = (both, both);
            }
            _ => {}
        }
    }
    stays
}
