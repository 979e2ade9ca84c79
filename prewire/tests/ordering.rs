//! Tasks that use no core, or not yet: when they are ready, what waits for them, and what they leave alone.

mod common;

use common::{Calls, Gate, eventually, everywhere, small};
use prewire::{
    Argument, Buffer, Comparison, Condition, DataType, Dependency, ErrorCode, Kernel, KernelId, NewTensor, Predicate,
    Run, Runtime, SubmitError, Task, TaskId, Tensor,
};

/// Passes the gate, then writes the value to the first element of its first tensor.
fn gated_store(runtime: &mut Runtime, gate: &Gate, value: u32) -> KernelId {
    let gate = gate.clone();
    let kernel = Kernel::any("gated store", move |kernel| {
        gate.pass(kernel)?;
        kernel.output::<u32>(0)?.set(&[0], value);
        Ok(())
    });
    runtime.register(kernel).unwrap()
}

/// Tasks that end when the test says so and block nobody meanwhile: each stores 1 and then waits for its cell of a row of counters.
struct Held {
    store: KernelId,
    raise: KernelId,
    counters: Tensor,
    _buffer: Buffer,
}

impl Held {
    fn new(runtime: &mut Runtime) -> Self {
        let store = Kernel::any("store and defer", |kernel| {
            kernel.output::<u32>(0)?.set(&[0], 1);
            let counter = kernel.tensors()[1].first_byte();
            kernel.complete_when(Condition { counter, expected: 1 });
            Ok(())
        });
        let raise = Kernel::any("raise", |kernel| {
            kernel.output::<u32>(0)?.set(&[0], 1);
            Ok(())
        });
        let (store, raise) = (runtime.register(store).unwrap(), runtime.register(raise).unwrap());
        let buffer = runtime.buffer(16).unwrap();
        Held { store, raise, counters: buffer.tensor(&[4], DataType::U32).unwrap(), _buffer: buffer }
    }

    /// Submits one that writes `cell`.
    fn submit(&self, run: &mut Run<'_>, cell: &Tensor, which: u32) -> Result<TaskId, SubmitError> {
        let counter = self.counters.view(&[1], &[which])?;
        let arguments = [Argument::OutputExisting(cell), Argument::NoDependency(&counter)];
        Ok(run.submit(&Task::vector(self.store).arguments(&arguments))?.id)
    }

    fn end(&self, run: &mut Run<'_>, which: u32) -> Result<(), SubmitError> {
        let counter = self.counters.view(&[1], &[which])?;
        run.submit(&Task::cube(self.raise).arguments(&[Argument::NoDependency(&counter)])).map(|_| ())
    }
}

fn equals<'a>(operand: &'a Tensor, target: i64) -> Predicate<'a> {
    Predicate { operand, indices: &[0], comparison: Comparison::Equal, target }
}

/// Claims CHIP-056 (that it was routed once is asserted where queues can be seen).
#[test]
fn a_task_without_producers_is_dispatched_without_any_completion() {
    for (chip, engine) in everywhere() {
        let mut runtime = small().platform(chip).engine(engine).build().unwrap();
        let gate = Gate::new();
        let gated = runtime.register(gate.kernel("gated")).unwrap();
        let report = runtime
            .run(|run| {
                run.submit(&Task::vector(gated))?;
                // Nothing else is in the run, and nothing has completed or can.
                eventually("the dispatch", || gate.arrived() == 1);
                gate.open();
                Ok(())
            })
            .unwrap();
        assert_eq!((report.completed, gate.arrived()), (1, 1));
    }
}

/// Claims CHIP-110.
#[test]
fn a_dummy_orders_without_running() {
    for (chip, engine) in everywhere() {
        for explicit in [true, false] {
            let builder = small().platform(chip).engine(engine).threads(3).record_trace(true);
            let mut runtime = builder.build().unwrap();
            let held = Held::new(&mut runtime);
            let (calls, free) = (Calls::default(), Calls::default());
            let (consumer, independent) = (calls.kernel("consumer"), free.kernel("independent"));
            let consumer = runtime.register(consumer).unwrap();
            let independent = runtime.register(independent).unwrap();
            let buffer = runtime.buffer(16).unwrap();
            let all = buffer.tensor(&[4], DataType::U32).unwrap();
            let mut dummy_id = TaskId::NONE;
            let report = runtime
                .run(|run| {
                    let mut named = Vec::new();
                    for at in 0..3 {
                        let cell = all.view(&[1], &[at])?;
                        named.push(Dependency::on(held.submit(run, &cell, at)?));
                    }
                    // What only tasks with kernels have means nothing here: a gang too large for the chip, a predicate that does not hold.
                    let flag = all.view(&[1], &[3])?;
                    let dummy = Task::dummy().blocks(1000).sync_start().predicate(equals(&flag, 99));
                    let arguments = [Argument::InOut(&all)];
                    let dummy = match explicit {
                        true => dummy.dependencies(&named),
                        false => dummy.arguments(&arguments),
                    };
                    dummy_id = run.submit(&dummy)?.id;
                    let behind = [Dependency::on(dummy_id)];
                    for _ in 0..4 {
                        let cell = [Argument::Input(&all)];
                        let task = match explicit {
                            true => Task::cube(consumer).dependencies(&behind),
                            false => Task::cube(consumer).arguments(&cell),
                        };
                        run.submit(&task)?;
                    }
                    for ended in 0..3 {
                        // An unrelated task comes and goes, so the schedulers had their chance.
                        run.submit(&Task::cube(independent))?;
                        eventually("the independent task", || free.count() == u64::from(ended) + 1);
                        assert_eq!(calls.count(), 0, "a consumer started with {ended} of 3 producers done");
                        held.end(run, ended)?;
                    }
                    eventually("the four consumers", || calls.count() == 4);
                    Ok(())
                })
                .unwrap();
            let blocks = report.blocks.unwrap();
            assert_eq!(blocks.len(), 3 + 4 + 3 + 3, "producers, consumers, independent ones and those that raise");
            assert!(blocks.iter().all(|block| block.task != dummy_id), "a core received the dummy");
            assert_eq!((report.tasks, report.completed), (14, 14));
        }
    }
}

/// Claims CHIP-113 (an argument that is no output, and a scalar, cannot be said in Rust: they are the C API's to refuse. That its bytes are kept long
/// enough is asserted where heaps can be seen).
#[test]
fn an_allocation_is_finished_when_its_call_returns() {
    for (chip, engine) in everywhere() {
        let mut runtime = small().platform(chip).engine(engine).record_trace(true).build().unwrap();
        let calls = Calls::default();
        let counts = calls.clone();
        let increment = Kernel::any("increment", move |kernel| {
            kernel.output::<u32>(0)?.as_mut_slice()[0] += 1;
            counts.one();
            Ok(())
        });
        let increment = runtime.register(increment).unwrap();
        let report = runtime.run(|run| run.allocate(&[NewTensor::new(&[4], DataType::U32); 3]).map(|_| ())).unwrap();
        assert_eq!((report.tasks, report.allocations, report.completed), (1, 1, 1));
        assert_eq!(report.blocks.as_deref(), Some(&[][..]), "no core was used");
        runtime
            .run(|run| {
                let new = NewTensor::new(&[4], DataType::U32).filled(7u32);
                let tensors = run.allocate(&[new; 3])?.outputs.to_vec();
                for (at, tensor) in tensors.iter().enumerate() {
                    assert_eq!(run.get::<u32>(tensor, &[3])?, 7);
                    run.submit(&Task::vector(increment).arguments(&[Argument::InOut(tensor)]))?;
                    eventually("the user of the allocation", || calls.count() == at as u64 + 1);
                    assert_eq!(run.get::<u32>(tensor, &[0])?, 8);
                }
                Ok(())
            })
            .unwrap();
        let refused = runtime.run(|run| run.allocate(&[]).map(|_| ())).unwrap_err();
        assert_eq!(refused.error.code(), Some(ErrorCode::InvalidArguments));
    }
}

/// Claims CHIP-115.
#[test]
fn a_predicate_is_evaluated_behind_the_writers_of_its_operand() {
    for (chip, engine) in everywhere() {
        let mut runtime = small().platform(chip).engine(engine).threads(3).record_trace(true).build().unwrap();
        let gates = [Gate::new(), Gate::new()];
        let (zero, one) = (gated_store(&mut runtime, &gates[0], 0), gated_store(&mut runtime, &gates[1], 1));
        let (guarded, dependent) = (Calls::default(), Calls::default());
        let guarded_kernel = guarded.clone();
        let store = Kernel::any("store", move |kernel| {
            kernel.output::<u32>(0)?.as_mut_slice().fill(77);
            guarded_kernel.one();
            Ok(())
        });
        let store = runtime.register(store).unwrap();
        let dependent_kernel = runtime.register(dependent.kernel("dependent")).unwrap();
        let buffer = runtime.buffer_from(&[5u32; 12]).unwrap();
        let [flag, when_one, when_two] = [0, 16, 32].map(|at| buffer.tensor_at(at, &[4], DataType::U32).unwrap());
        let mut unrun = TaskId::NONE;
        let report = runtime
            .run(|run| {
                run.submit(&Task::vector(zero).arguments(&[Argument::InOut(&flag)]))?;
                run.submit(&Task::vector(one).arguments(&[Argument::InOut(&flag)]))?;
                let (to_one, to_two) = ([Argument::OutputExisting(&when_one)], [Argument::OutputExisting(&when_two)]);
                run.submit(&Task::vector(store).arguments(&to_one).predicate(equals(&flag, 1)))?;
                // Neither what the operand was before nor what it was in between lets this one run.
                for target in [5, 0, 2] {
                    let task = Task::vector(store).arguments(&to_two);
                    unrun = run.submit(&task.predicate(equals(&flag, target)))?.id;
                }
                run.submit(&Task::cube(dependent_kernel).arguments(&[Argument::Input(&when_two)]))?;
                for gate in &gates {
                    assert_eq!(guarded.count() + dependent.count(), 0, "a predicate was evaluated early");
                    gate.open();
                }
                Ok(())
            })
            .unwrap();
        assert_eq!((guarded.count(), dependent.count()), (1, 1));
        assert_eq!((report.completed, report.unrun), (7, 0));
        let values = runtime.read::<u32>(&buffer).unwrap();
        assert_eq!(values, [&[1, 5, 5, 5][..], &[77; 4], &[5; 4]].concat());
        let blocks = report.blocks.unwrap();
        assert_eq!(blocks.len(), 4, "two writers, one of four guarded tasks, one dependent");
        assert!(blocks.iter().all(|block| block.task != unrun), "no core was used for what did not run");
    }
}

/// Claims CHIP-116 (in Rust a predicate has an operand; one without is the C API's to refuse).
#[test]
fn the_operand_of_a_predicate_orders_by_itself() {
    for (chip, engine) in everywhere() {
        let mut runtime = small().platform(chip).engine(engine).threads(3).build().unwrap();
        let held = Held::new(&mut runtime);
        let open = Gate::new();
        open.open();
        let later = gated_store(&mut runtime, &open, 0);
        let (guarded, free) = (Calls::default(), Calls::default());
        let guarded_kernel = runtime.register(guarded.kernel("guarded")).unwrap();
        let independent = runtime.register(free.kernel("independent")).unwrap();
        let buffer = runtime.buffer(16).unwrap();
        let [flag, beside] = [0, 4].map(|at| buffer.tensor_at(at, &[1], DataType::U32).unwrap());
        runtime
            .run(|run| {
                held.submit(run, &flag, 0)?;
                let named = [Dependency::on(held.submit(run, &beside, 1)?)];
                // The operand is none of its arguments.
                run.submit(&Task::cube(guarded_kernel).predicate(equals(&flag, 1)).dependencies(&named))?;
                run.submit(&Task::vector(later).arguments(&[Argument::OutputExisting(&flag)]))?;
                for ended in 0..2 {
                    run.submit(&Task::cube(independent))?;
                    eventually("the independent task", || free.count() == u64::from(ended) + 1);
                    assert_eq!((guarded.count(), open.arrived()), (0, 0), "{ended} of two producers have ended");
                    held.end(run, ended)?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!((guarded.count(), open.arrived()), (1, 1));
        assert_eq!(runtime.read::<u32>(&buffer).unwrap()[..2], [0, 1]);

        let float = buffer.tensor(&[4], DataType::F32).unwrap();
        let outside = Predicate { indices: &[1], ..equals(&flag, 1) };
        for wrong in [outside, equals(&float, 1)] {
            let refused =
                runtime.run(|run| run.submit(&Task::cube(guarded_kernel).predicate(wrong)).map(|_| ())).unwrap_err();
            assert_eq!(refused.error.code(), Some(ErrorCode::InvalidArguments));
        }
        assert_eq!(guarded.count(), 1, "a wrong predicate does not run its task");
    }
}
