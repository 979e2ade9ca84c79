//! One case: a seed on a machine. The runtimes are kept from case to case, so that what one program leaves behind would show in the next.

use super::generator::{Limits, generate};
use super::interpreter::interpret;
use super::runner::Runner;
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
        Limits { tasks, window: if self.window == 0 { LARGE_WINDOW } else { self.window } }
    }

    fn runtime(&self) -> Runtime {
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
        builder.build().unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }
}

/// Runtimes by what they are.
#[derive(Debug, Default)]
pub(crate) struct Bench(Vec<(Machine, Runner)>);

impl Bench {
    fn runner(&mut self, machine: Machine) -> &mut Runner {
        let place = self.0.iter().position(|(known, _)| *known == machine).unwrap_or_else(|| {
            self.0.push((machine, Runner::new(machine.runtime(), machine.engine != Engine::InlineOnly)));
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
        let expected = interpret(&program);
        let runner = self.runner(machine);
        let context = |text: String| format!("seed {seed}, {tasks} tasks, {machine:?}: {text}");
        let found = runner.run(&program).map_err(context)?;
        if found == expected {
            return Ok(());
        }
        let mut text = String::from("what the orchestration read or how many tasks there were");
        for (buffer, (found, expected)) in found.external.iter().zip(&expected.external).enumerate() {
            if let Some(place) = (0..found.len()).find(|&place| found[place] != expected[place]) {
                text = format!("buffer {buffer}, element {place}: {:#x} and not {:#x}", found[place], expected[place]);
            }
        }
        Err(context(text))
    }
}
