//! What a failed task takes with it and what it does not, data access, and runs that end early.

use crate::rig::{KERNEL, Rig, fatal, recorded, refusal, small};
use prewire_orchestrator::{OrchestratorConfig, ScopeMode};
use prewire_runtime_core::error::{ErrorCode, Fatal, SubmitError};
use prewire_runtime_core::id::TaskId;
use prewire_runtime_core::slot::Comparison;
use prewire_runtime_core::task::{Argument, Dependency, NewTensor, Predicate, Scalar, Task};
use prewire_runtime_core::tensor::{DataType, Tensor};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

fn range(tensor: &Tensor, from: u32, to: u32) -> Tensor {
    tensor.view(&[to - from], &[from]).unwrap()
}

fn ran(rig: &Rig, id: TaskId) -> bool {
    rig.retirer.ended.iter().find(|(ended, _)| *ended == id).expect("it has ended").1
}

/// Failure follows what was written, also when the failed task is long gone, until somebody overwrites it; and it follows explicit dependencies.
#[test]
fn failure_follows_data() {
    // The failed task is live, finished, or reclaimed when its dependents are submitted.
    for state in 0..3 {
        let mut rig = Rig::new(small());
        let buffer = rig.external(&[16]);
        let other = rig.external(&[16]);
        let failed = rig.overwrite(&range(&buffer, 0, 8), |_| {});
        rig.fails(failed, 3, "on purpose");
        if state > 0 {
            rig.retirer.run();
        }
        if state > 1 {
            while rig.orchestrator.slot_of(failed).is_some() {
                rig.task(&[]);
                rig.retirer.run();
            }
        }
        let reader = rig.input(&range(&buffer, 4, 12), |_| {});
        let beside = rig.input(&range(&buffer, 8, 16), |_| {});
        let part = rig.overwrite(&range(&buffer, 0, 4), |_| {});
        let named = rig.submit(&Task::vector(KERNEL).dependencies(&[Dependency::wait_only(failed)]));
        let arguments = [Argument::Input(&buffer), Argument::OutputExisting(&other)];
        let next = rig.task(&arguments);
        let whole = rig.overwrite(&range(&buffer, 0, 8), |_| {});
        let after = rig.input(&range(&buffer, 0, 8), |_| {});
        let far = rig.input(&other, |_| {});
        rig.retirer.run();
        for (id, expected) in
            [(reader, false), (beside, true), (named, false), (next, false), (whole, true), (after, true), (far, false)]
        {
            assert_eq!(ran(&rig, id), expected, "task {id} with the failed one in state {state}");
        }
        assert!(ran(&rig, part) || state < 3, "a part may run or not, but it ends");
        let (first, count) = rig.graph.run.first_failure().unwrap();
        assert_eq!((first.task, first.code, count), (failed, 3, 1));
    }
}

/// A task that overwrites all of a failed creator's output makes it good again for later readers.
#[test]
fn an_overwritten_output_is_good_again() {
    let mut rig = Rig::new(small());
    let output = Argument::Output(NewTensor::new(&[8], DataType::U32));
    let (creator, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[output, output])).unwrap();
    rig.fails(creator, 1, "on purpose");
    rig.retirer.run();
    let (good, bad) = (outputs[0], outputs[1]);
    let lost = rig.input(&good, |_| {});
    let overwriter = rig.overwrite(&good, |_| {});
    rig.retirer.run();
    for _ in 0..3 {
        rig.task(&[]);
        rig.retirer.run();
    }
    let reader = rig.input(&range(&good, 0, 3), |_| {});
    let still_lost = rig.input(&bad, |_| {});
    rig.retirer.run();
    assert_eq!([lost, overwriter, reader, still_lost].map(|id| ran(&rig, id)), [false, true, true, false]);
}

/// A predicate's operand is a dependency by itself, and a later writer of it waits.
///
/// Claims CHIP-116 (in Rust a predicate has an operand; one without is refused by the C library, in ffi/tests/c/chip_calls.c).
#[test]
fn the_operand_of_a_predicate_is_an_input() {
    let mut rig = Rig::new(recorded());
    let flag = rig.external(&[4]);
    let writer = rig.overwrite(&flag, |_| {});
    rig.gate(writer);
    let predicate = Predicate { operand: &flag, indices: &[2], comparison: Comparison::Equal, target: 1 };
    let task = rig.submit(&Task::vector(KERNEL).predicate(predicate));
    rig.gate(task);
    let later = rig.overwrite(&flag, |_| {});
    assert!(!rig.retirer.is_ready(task));
    rig.retirer.complete(writer);
    assert!(rig.retirer.is_ready(task) && !rig.retirer.is_ready(later));
    let slot = rig.orchestrator.slot_of(task).unwrap();
    // SAFETY: the task has not ended.
    let extra = *unsafe { rig.graph.slots.get(slot).extra() };
    assert_eq!((extra.predicate_address, extra.predicate_target), (flag.address() + 8, 1));
    rig.retirer.complete(task);
    assert!(rig.retirer.is_ready(later));
    assert_eq!(rig.pairs(), [(writer, task), (task, later)]);

    let outside = Predicate { indices: &[4], ..predicate };
    let told = refusal(rig.try_submit(&Task::vector(KERNEL).predicate(outside))).to_string();
    assert!(told.contains("code 5") && told.contains("predicate") && told.contains('4'), "{told}");
    let address = flag.address();
    let float = rig.over(address, 16, flag.buffer(), &[4], DataType::F32);
    let float = Predicate { operand: &float, ..predicate };
    let told = refusal(rig.try_submit(&Task::vector(KERNEL).predicate(float))).to_string();
    assert!(told.contains("code 5") && told.contains("f32"), "{told}");
}

/// Claims CHIP-124.
#[test]
fn get_waits_for_the_right_tasks() {
    let mut rig = Rig::new(small());
    let output = Argument::Output(NewTensor::new(&[16], DataType::U32).filled(5u32));
    let (creator, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[output])).unwrap();
    let tensor = outputs[0];
    let left = rig.overwrite(&range(&tensor, 0, 8), |seen| seen.set(0, 3, 33));
    let right = rig.overwrite(&range(&tensor, 8, 16), |_| {});
    for id in [creator, left, right] {
        rig.gate(id);
    }
    let order = [creator, left];
    rig.retirer.each_round =
        Some(Box::new(move |round| if round % 5 == 0 { order[round as usize / 5 - 1..].to_vec() } else { Vec::new() }));
    let value = rig.orchestrator.get(&tensor, &[3], &mut rig.retirer).unwrap();
    assert_eq!(value, Scalar(33));
    assert!(rig.retirer.rounds >= 5 && rig.retirer.has_ended(creator) && rig.retirer.has_ended(left));
    assert!(!rig.retirer.has_ended(right));
}

/// Claims CHIP-125.
#[test]
fn set_has_sequential_meaning() {
    let mut rig = Rig::new(small());
    let buffer = rig.external(&[8]);
    let writer = rig.overwrite(&buffer, |seen| seen.fill(0, 1));
    let saw = Rc::new(RefCell::new(Vec::new()));
    let values = Rc::clone(&saw);
    let reader = rig.input(&buffer, move |seen| values.borrow_mut().push(seen.get(0, 3)));
    let beside = rig.input(&range(&buffer, 4, 8), |_| {});
    for id in [writer, reader, beside] {
        rig.gate(id);
    }
    rig.retirer.each_round = Some(Box::new(move |round| match round {
        4 => vec![writer],
        8 => vec![reader],
        _ => Vec::new(),
    }));
    rig.orchestrator.set(&buffer, &[3], Scalar::from(9u32), &mut rig.retirer).unwrap();
    assert_eq!(*saw.borrow(), [1], "the reader before saw the old value");
    assert!(!rig.retirer.has_ended(beside), "a reader of other elements is not waited for");
    let values = Rc::clone(&saw);
    rig.input(&buffer, move |seen| values.borrow_mut().push(seen.get(0, 3)));
    rig.retirer.run();
    assert_eq!(*saw.borrow(), [1, 9]);
    assert_eq!((rig.read(&buffer, 2), rig.read(&buffer, 4)), (1, 1));
}

/// A data wait ends after its budget, and says what it waits for and what that is doing.
#[test]
fn a_data_wait_has_a_budget() {
    let mut rig = Rig::new(OrchestratorConfig { data_wait: Duration::from_millis(200), ..small() });
    let buffer = rig.external(&[8]);
    let first = rig.overwrite(&buffer, |_| {});
    rig.gate(first);
    let second = rig.inout(&buffer, |_| {});
    let fatal_error = fatal(rig.orchestrator.get(&buffer, &[0], &mut rig.retirer));
    assert_eq!(fatal_error.code(), ErrorCode::DataWaitTimeout);
    assert_eq!(rig.retirer.now_ns, 200_000_000);
    let told = fatal_error.to_string();
    for part in [second.to_string(), format!("waiting for [{first}]"), "200 ms".to_owned()] {
        assert!(told.contains(&part), "{told} should name {part}");
    }
    assert!(rig.is_usable());

    rig.orchestrator.describe_with(|_, task| Some(format!("running {task} on AIV_3")));
    let buffer = rig.external(&[8]);
    let id = rig.overwrite(&buffer, |_| {});
    rig.gate(id);
    let told = fatal(rig.orchestrator.get(&buffer, &[0], &mut rig.retirer)).to_string();
    assert!(told.contains("running") && told.contains("AIV_3"), "{told}");
}

/// Claims CHIP-127.
#[test]
fn get_and_set_never_make_up_a_value() {
    let mut rig = Rig::new(small());
    let output = Argument::Output(NewTensor::new(&[8], DataType::U32));
    rig.open();
    let (root, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[output])).unwrap();
    rig.fails(root, 17, "broken root");
    let copy = [Argument::Input(&outputs[0]), output];
    let (_, copies) = rig.try_submit(&Task::vector(KERNEL).arguments(&copy)).unwrap();
    for tensor in [outputs[0], copies[0]] {
        let lost = rig.orchestrator.get(&tensor, &[1], &mut rig.retirer).unwrap_err();
        let SubmitError::DataLost(failure) = lost else { panic!("{lost}") };
        assert_eq!((failure.task, failure.code, failure.text.as_str()), (root, 17, "broken root"));
        let lost = rig.orchestrator.set(&tensor, &[1], Scalar(1), &mut rig.retirer).unwrap_err();
        assert!(matches!(lost, SubmitError::DataLost(failure) if failure.code == 17));
    }
    rig.close();

    let buffer = rig.external(&[8]);
    let unallocated = rig.over(0, 32, buffer.buffer(), &[8], DataType::U32);
    let bad: [(&Tensor, &[u32]); 4] = [(&buffer, &[8]), (&buffer, &[0, 0]), (&outputs[0], &[0]), (&unallocated, &[0])];
    for (tensor, indices) in bad {
        let told = refusal(rig.orchestrator.get(tensor, indices, &mut rig.retirer)).to_string();
        assert!(told.contains("code 5"), "{told}");
        let told = refusal(rig.orchestrator.set(tensor, indices, Scalar(0), &mut rig.retirer)).to_string();
        assert!(told.contains("code 5"), "{told}");
    }

    let id = rig.overwrite(&buffer, |_| {});
    rig.gate(id);
    let rounds = rig.retirer.rounds;
    rig.orchestrator.fail("enough");
    let at_once = fatal(rig.orchestrator.get(&buffer, &[0], &mut rig.retirer));
    assert!(matches!(at_once, Fatal::Explicit { text } if text == "enough"));
    let at_once = fatal(rig.orchestrator.set(&buffer, &[0], Scalar(0), &mut rig.retirer));
    assert_eq!((at_once.code(), rig.retirer.rounds), (ErrorCode::ExplicitFatal, rounds));
}

/// Claims CHIP-144.
#[test]
fn after_an_explicit_fatal_every_call_returns_it() {
    let mut rig = Rig::new(small());
    let buffer = rig.external(&[8]);
    rig.open();
    rig.task(&[Argument::InOut(&buffer)]);
    let before = rig.orchestrator.usage();
    let SubmitError::Fatal(first) = rig.orchestrator.fail("my own text") else { panic!("a fatal was expected") };
    assert_eq!(first.code(), ErrorCode::ExplicitFatal);
    rig.orchestrator.fail("a later text");
    let calls = [
        fatal(rig.try_submit(&Task::vector(KERNEL))),
        fatal(rig.orchestrator.open_scope(ScopeMode::Automatic)),
        fatal(rig.orchestrator.allocate(&[NewTensor::new(&[1], DataType::U8)], &mut rig.retirer).map(|made| made.id)),
        fatal(rig.orchestrator.get(&buffer, &[0], &mut rig.retirer)),
        fatal(rig.orchestrator.set(&buffer, &[0], Scalar(0), &mut rig.retirer)),
        fatal(rig.orchestrator.close_scope()),
    ];
    for told in calls {
        assert!(matches!(told, Fatal::Explicit { text } if text == "my own text"));
    }
    assert_eq!(rig.orchestrator.usage(), before);
    assert!(rig.is_usable());
}

/// Whoever ends the run, a submit that waits for room of any kind returns with that cause.
#[test]
fn a_waiting_submit_sees_the_end_of_the_run() {
    for what in ["slots", "heap", "edges", "index", "get"] {
        let config = match what {
            "slots" => OrchestratorConfig { window: [4; 4], ..small() },
            "heap" => OrchestratorConfig { heap_bytes: [4096; 4], ..small() },
            "edges" => OrchestratorConfig { edges: [4; 4], ..small() },
            _ => OrchestratorConfig { index_entries: 4, ..small() },
        };
        let mut rig = Rig::new(config);
        let buffer = rig.external(&[64]);
        rig.open();
        let gate = rig.task(&[Argument::InOut(&range(&buffer, 0, 1))]);
        rig.gate(gate);
        rig.close();
        let graph = std::sync::Arc::clone(&rig.graph);
        rig.retirer.each_round = Some(Box::new(move |round| {
            if round == 3 {
                graph.run.latch(Fatal::Explicit { text: "from elsewhere".to_owned() });
            }
            Vec::new()
        }));
        rig.open();
        let mut result = Ok(());
        for task in 1..40 {
            let view = range(&buffer, task, task + 1);
            result = match what {
                "get" => rig.orchestrator.get(&buffer, &[0], &mut rig.retirer).map(|_| ()),
                "heap" => {
                    rig.close();
                    rig.open();
                    let output = Argument::Output(NewTensor::new(&[1024], DataType::U8));
                    rig.try_submit(&Task::vector(KERNEL).arguments(&[output])).map(|_| ())
                }
                "edges" => rig.try_submit(&Task::vector(KERNEL).dependencies(&[Dependency::on(gate)])).map(|_| ()),
                _ => rig.try_submit(&Task::vector(KERNEL).arguments(&[Argument::InOut(&view)])).map(|_| ()),
            };
            if result.is_err() {
                break;
            }
        }
        let cause = fatal(result);
        assert!(matches!(&cause, Fatal::Explicit { text } if text == "from elsewhere"), "{what}: {cause}");
        assert_eq!(rig.retirer.rounds, 3, "{what}");
        assert!(rig.is_usable());
    }
}
