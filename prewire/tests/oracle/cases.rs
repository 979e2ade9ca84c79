//! One case: a seed on a machine. The runtimes are kept from case to case, so that what one program leaves behind would show in the next.

use super::difference::difference;
use super::generator::{Limits, generate};
use super::interpreter::interpret;
use super::program::Program;
use super::runner::{Manner, Runner};
use prewire::{Chip, Engine, Runtime};

/// What a program runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) chip: Chip,
    pub(crate) engine: Engine,
    /// Slots of each ring; programs are made to fit. With 0 the rings have their default sizes.
    pub(crate) window: usize,
}

/// The window that programs for rings of the default sizes are made for.
const LARGE_WINDOW: usize = 256;

impl Machine {
    pub(crate) fn limits(&self, tasks: usize) -> Limits {
        Limits { tasks, window: if self.window == 0 { LARGE_WINDOW } else { self.window }, failing: true }
    }

    /// What failed tasks should have written stays in the index until it is overwritten, however small the rings are.
    fn runtime(&self, fails: bool) -> Runtime {
        let builder = Runtime::builder().platform(self.chip).engine(self.engine).clusters(3).threads(3);
        let builder = match self.window {
            0 => builder,
            window => {
                // A task may wait for many: for each of its arguments all that overlap.
                let edges = (32 * window) as u64;
                let heap = self.limits(0).heap_bytes();
                builder.ring_task_window(window as u64).ring_heap(heap).ring_dep_pool(edges)
            }
        };
        let builder = if fails { builder.index_entries(1 << 14) } else { builder };
        builder.build().unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }
}

/// Runtimes by what they are.
#[derive(Debug, Default)]
pub(crate) struct Bench(Vec<((Machine, bool), Runner)>);

impl Bench {
    fn runner(&mut self, machine: Machine, fails: bool) -> &mut Runner {
        let place = self.0.iter().position(|(known, _)| *known == (machine, fails)).unwrap_or_else(|| {
            let concurrent = machine.engine != Engine::InlineOnly;
            let manner = Manner { gangs: concurrent, meets: concurrent, late: true };
            let runner = Runner::new(machine.runtime(fails), manner, |kernel| kernel);
            self.0.push(((machine, fails), runner));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    /// Runs the program of a seed and compares it with the interpreter.
    ///
    /// # Errors
    /// What differs, with everything that is needed to see it again.
    pub(crate) fn check(&mut self, seed: u64, tasks: usize, machine: Machine) -> Result<(), String> {
        let program = generate(seed, machine.limits(tasks));
        self.check_program(&program, machine).map_err(|failure| {
            format!(
                "seed {seed}, {tasks} tasks, {machine:?}: {failure}; to see it again and made small: \
                 cargo xtask oracle --seed {seed} --cases 1 --tasks {tasks}"
            )
        })
    }

    /// Runs a program and compares it with the interpreter.
    ///
    /// # Errors
    /// What differs.
    pub(crate) fn check_program(&mut self, program: &Program, machine: Machine) -> Result<(), Failure> {
        let expected = interpret(program);
        let runner = self.runner(machine, !expected.failed.is_empty());
        let ran = runner.run(program).map_err(|error| Failure::Run(error.to_string()))?;
        difference(&ran, &expected).map_or(Ok(()), |text| Err(Failure::Differs(text)))
    }
}

/// How a program failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The run ended early.
    Run(String),
    /// It left behind something else than it should have.
    Differs(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Failure::Run(text) | Failure::Differs(text)) = self;
        f.write_str(text)
    }
}
