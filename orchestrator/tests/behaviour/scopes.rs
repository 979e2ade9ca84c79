//! Scopes: what they hold, how deep they go, what manual ones leave out.

use crate::rig::{KERNEL, Rig, recorded, refusal, small};
use prewire_orchestrator::{OrchestratorConfig, ScopeMode};
use prewire_runtime_core::error::Refusal;
use prewire_runtime_core::id::TaskId;
use prewire_runtime_core::task::{Argument, NewTensor, Task};
use prewire_runtime_core::tensor::{DataType, Tensor};

fn owner(rig: &mut Rig, elements: u32) -> (TaskId, Tensor) {
    let output = Argument::Output(NewTensor::new(&[elements], DataType::U32));
    let (id, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[output])).unwrap();
    (id, outputs[0])
}

/// Claims CHIP-051.
#[test]
fn a_scope_holds_its_outputs() {
    let heap = |rig: &Rig| rig.orchestrator.usage().rings[1].heap_bytes;
    // The scope ends last.
    let mut rig = Rig::new(small());
    rig.open();
    owner(&mut rig, 256);
    rig.retirer.run();
    for _ in 0..50 {
        rig.task(&[]);
        rig.retirer.run();
        assert_eq!(heap(&rig), 1024, "it has finished and nobody uses it, but its scope is open");
    }
    rig.close();
    rig.open();
    for _ in 0..3 {
        rig.task(&[]);
    }
    assert_eq!(heap(&rig), 0);
    rig.retirer.run();
    rig.close();

    // The retaining consumer ends last.
    rig.open();
    let (_, tensor) = owner(&mut rig, 256);
    rig.retirer.run();
    let consumer = rig.input(&tensor, |_| {});
    rig.gate(consumer);
    rig.close();
    rig.open();
    for _ in 0..10 {
        rig.task(&[]);
        assert_eq!(heap(&rig), 1024, "its scope is closed, but a consumer still uses it");
    }
    rig.retirer.complete(consumer);
    owner(&mut rig, 16 << 10);
    assert_eq!((heap(&rig), rig.retirer.rounds), (64 << 10, 0), "the whole heap can be used again, at once");
}

/// Claims CHIP-102.
#[test]
fn a_task_is_reclaimed_at_the_last_of_three_events() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Event {
        TaskEnds,
        ScopeCloses,
        ConsumerEnds,
    }
    use Event::*;
    let orders = [
        [TaskEnds, ScopeCloses, ConsumerEnds],
        [TaskEnds, ConsumerEnds, ScopeCloses],
        [ScopeCloses, TaskEnds, ConsumerEnds],
        [ScopeCloses, ConsumerEnds, TaskEnds],
        [ConsumerEnds, TaskEnds, ScopeCloses],
        [ConsumerEnds, ScopeCloses, TaskEnds],
    ];
    for order in orders {
        let mut rig = Rig::new(small());
        // In a manual scope a reader keeps the bytes without waiting for their writer, so that it may end first.
        rig.orchestrator.open_scope(ScopeMode::Manual).unwrap();
        let (task, tensor) = owner(&mut rig, 256);
        let consumer = rig.input(&tensor, |_| {});
        for id in [task, consumer] {
            rig.gate(id);
        }
        let mut open = true;
        // A submit to the ring takes back what can be taken back.
        let look = |rig: &mut Rig, open: bool| {
            if !open {
                rig.open();
            }
            let probe = rig.task(&[]);
            rig.retirer.complete(probe);
            let usage = rig.orchestrator.usage().rings[1];
            if !open {
                rig.close();
            }
            (rig.orchestrator.slot_of(task).is_some(), usage.heap_bytes)
        };
        assert_eq!(look(&mut rig, open), (true, 1024), "{order:?}: nothing has happened");
        for (happened, event) in order.into_iter().enumerate() {
            match event {
                TaskEnds => rig.retirer.complete(task),
                ConsumerEnds => rig.retirer.complete(consumer),
                ScopeCloses => {
                    rig.close();
                    open = false;
                }
            }
            let last = happened == 2;
            let expected = if last { (false, 0) } else { (true, 1024) };
            for time in 1..=3 {
                assert_eq!(look(&mut rig, open), expected, "{order:?}: look {time} after {event:?}");
            }
        }
        assert_eq!(rig.retirer.ended.iter().filter(|(id, _)| [task, consumer].contains(id)).count(), 2);
    }
}

/// Claims CHIP-052.
#[test]
fn scopes_nest_64_deep() {
    let mut rig = Rig::new(OrchestratorConfig { window: [128; 4], ..small() });
    let ids: Vec<_> = (0..64)
        .map(|_| {
            rig.open();
            rig.task(&[])
        })
        .collect();
    let told = refusal(rig.orchestrator.open_scope(ScopeMode::Automatic)).to_string();
    assert!(told.contains("code 5") && told.contains("64"), "{told}");
    rig.retirer.run();
    assert!(ids.iter().all(|&id| rig.retirer.has_ended(id)));
    for _ in 0..64 {
        rig.close();
    }
    assert_eq!(rig.orchestrator.scope_depth(), 0);
    assert!(rig.is_usable());
}

/// Claims CHIP-053.
#[test]
fn an_automatic_scope_inside_a_manual_one_is_refused() {
    let mut rig = Rig::new(recorded());
    let buffer = rig.external(&[4]);
    let writer = rig.overwrite(&buffer, |_| {});
    rig.orchestrator.open_scope(ScopeMode::Manual).unwrap();
    let told = refusal(rig.orchestrator.open_scope(ScopeMode::Automatic)).to_string();
    assert!(told.contains("code 5") && told.contains("automatic") && told.contains("manual"), "{told}");
    rig.orchestrator.open_scope(ScopeMode::Manual).unwrap();
    let inner = rig.input(&buffer, |_| {});
    rig.close();
    let outer = rig.input(&buffer, |_| {});
    rig.close();
    let after = rig.input(&buffer, |_| {});
    assert_eq!(rig.pairs(), [(writer, after)]);
    assert!(!rig.has_edge(writer, inner) && !rig.has_edge(writer, outer));
}

/// What was used before is known, and a manual scope infers nothing of it all the same; nor does it bar the way of those behind it.
#[test]
fn a_manual_scope_infers_nothing_of_what_is_known() {
    let mut rig = Rig::new(small());
    let buffer = rig.external(&[4]);
    let waits = |rig: &Rig, id| rig.graph.slots.get(rig.orchestrator.slot_of(id).unwrap()).waits_left();
    let first = rig.inout(&buffer, |_| {});
    rig.gate(first);
    for _ in 0..2 {
        let before = rig.inout(&buffer, |_| {});
        assert_eq!(waits(&rig, before), 1);
        rig.orchestrator.open_scope(ScopeMode::Manual).unwrap();
        let inside = rig.inout(&buffer, |_| {});
        assert_eq!(waits(&rig, inside), 0);
        rig.gate(inside);
        rig.close();
        let after = rig.inout(&buffer, |_| {});
        assert_eq!(waits(&rig, after), 1);
    }
    assert!(rig.is_usable());
}

/// Scopes that are still open at the end are closed, with a warning; one that is not open cannot be closed.
#[test]
fn scopes_are_balanced() {
    let mut rig = Rig::new(small());
    assert!(matches!(refusal(rig.orchestrator.close_scope()), Refusal::NoOpenScope));
    rig.open();
    rig.open();
    owner(&mut rig, 4);
    rig.retirer.run();
    assert_eq!(rig.orchestrator.end_run(&mut rig.retirer), 2);
    assert!(rig.graph.run.notes().iter().any(|note| note.starts_with("2 scopes")), "{:?}", rig.graph.run.notes());
    rig.orchestrator.after_run();
    rig.begin();
    assert!(rig.is_usable());
}

/// Claims CHIP-055.
#[test]
fn a_scope_holds_as_many_tasks_as_its_window_and_as_few_as_none() {
    let mut rig = Rig::new(OrchestratorConfig {
        window: [4096; 4],
        heap_bytes: [4096 * 64; 4],
        edges: [4096; 4],
        index_entries: 1 << 16,
        ..small()
    });
    rig.open();
    let mut outputs = Vec::new();
    for number in 0..4095u32 - 128 {
        let (id, output) = owner(&mut rig, 1);
        rig.does(id, move |seen| seen.set(0, 0, number));
        outputs.push(output);
    }
    rig.retirer.run();
    // The tasks submitted last read all of them, 31 at a time, and own an output themselves.
    let sums = std::rc::Rc::new(std::cell::RefCell::new(0u64));
    let mut last = 0;
    for some in outputs.chunks(31) {
        let mut arguments: Vec<_> = some.iter().map(Argument::Input).collect();
        arguments.push(Argument::Output(NewTensor::new(&[1], DataType::U32)));
        let id = rig.task(&arguments);
        let sums = std::rc::Rc::clone(&sums);
        rig.does(id, move |seen| {
            for argument in 0..seen.tensors.len() - 1 {
                *sums.borrow_mut() += u64::from(seen.get(argument, 0));
            }
        });
        last += 1;
    }
    assert_eq!(last, 128);
    assert_eq!(rig.orchestrator.usage().rings[1].slots, 4095);
    rig.retirer.run();
    assert_eq!(*sums.borrow(), (0..4095 - 128).sum::<u64>());
    assert_eq!(rig.orchestrator.usage().rings[1].slots, 4095, "all are held until the end");
    rig.close();
    rig.open();
    rig.task(&[]);
    assert_eq!(rig.orchestrator.usage().rings[1].slots, 1, "and released together");
    rig.close();

    let before = rig.orchestrator.usage();
    for scope in 0..1_000_000 {
        let depth = 1 + scope % 8;
        for _ in 0..depth {
            rig.open();
        }
        for _ in 0..depth {
            rig.close();
        }
    }
    assert_eq!(rig.orchestrator.usage(), before);
    assert!(rig.is_usable());
}

/// An allocation is complete when its call returns, holds up no task behind it, and keeps its bytes until its scope is closed and its last user done.
///
/// Claims CHIP-113 (an argument that is no output, and a scalar, cannot be said in Rust: they are the C library's to refuse, in
/// ffi/tests/c/chip_calls.c. That no core is used is seen in the whole runtime).
#[test]
fn an_allocation_pins_no_task() {
    let mut rig = Rig::new(OrchestratorConfig { window: [16; 4], heap_bytes: [8192; 4], ..small() });
    rig.open();
    let new = NewTensor::new(&[256], DataType::U32).filled(3u32);
    let made = rig.orchestrator.allocate(&[new; 3], &mut rig.retirer).unwrap();
    let (id, tensors) = (made.id, made.outputs.to_vec());
    assert!(id.is_allocation() && id.to_string().starts_with("r1a"), "{id}");
    assert_eq!(rig.orchestrator.report().allocations, 1);
    assert!(tensors.iter().all(|tensor| tensor.owner() == id && rig.read(tensor, 255) == 3));
    for _ in 0..1000 {
        rig.inout(&tensors[0], |seen| seen.set(0, 0, seen.get(0, 0) + 1));
    }
    assert!(!rig.graph.run.is_cancelled());
    rig.retirer.run();
    assert_eq!(rig.read(&tensors[0], 0), 1003);

    // Its bytes go when the scope is closed and the last user is done, and not before.
    let user = rig.input(&tensors[1], |_| {});
    rig.gate(user);
    assert!(rig.retirer.is_ready(user), "a user of an allocation waits for nobody");
    let held = tensors[0].address()..tensors[2].address() + 1024;
    for _ in 0..4 {
        let (_, other) = owner(&mut rig, 256);
        assert!(!held.contains(&other.address()), "the scope is open");
    }
    rig.close();
    rig.open();
    let (_, other) = owner(&mut rig, 256);
    assert!(!held.contains(&other.address()), "the scope is closed, but a user is left");
    rig.close();
    rig.open();
    let gate_opens = rig.retirer.rounds + 7;
    rig.retirer.each_round = Some(Box::new(move |round| if round == gate_opens { vec![user] } else { Vec::new() }));
    owner(&mut rig, 2048);
    assert!(rig.retirer.rounds >= gate_opens && rig.retirer.has_ended(user));
    rig.retirer.run();
    rig.close();

    // Allocations have slots of their own, which a scope can use up, and are known by their ids.
    rig.open();
    let named = [prewire_runtime_core::task::Dependency::on(id)];
    let after = rig.submit(&Task::vector(KERNEL).dependencies(&named));
    assert!(rig.retirer.is_ready(after), "the allocation is long gone");
    let small = [NewTensor::new(&[1], DataType::U8)];
    for _ in 0..16 {
        rig.orchestrator.allocate(&small, &mut rig.retirer).unwrap();
    }
    let error = crate::rig::fatal(rig.orchestrator.allocate(&small, &mut rig.retirer).map(|made| made.id));
    assert_eq!(error.code(), prewire_runtime_core::error::ErrorCode::ScopeDeadlock);
    assert!(error.to_string().contains("holds 16"), "{error}");
    assert!(rig.is_usable());
    let nothing = refusal(rig.orchestrator.allocate(&[], &mut rig.retirer).map(|made| made.id));
    assert!(matches!(nothing, Refusal::Allocation { .. }) && nothing.to_string().contains("code 5"), "{nothing}");
}

/// Bytes come back in the heap's order: behind an allocation that is kept, a finished task's bytes stay, and the heap says who keeps them.
#[test]
fn the_heap_keeps_its_order() {
    let mut rig = Rig::new(OrchestratorConfig { heap_bytes: [8192; 4], ..small() });
    for _ in 0..3 {
        rig.open();
    }
    let made = rig.orchestrator.allocate(&[NewTensor::new(&[16], DataType::U32)], &mut rig.retirer).unwrap().id;
    let mut result = Ok(());
    for _ in 0..10 {
        rig.open();
        let output = Argument::Output(NewTensor::new(&[512], DataType::U32));
        result = rig.try_submit(&Task::vector(KERNEL).arguments(&[output])).map(|_| ());
        rig.retirer.run();
        rig.close_anyhow();
        if result.is_err() {
            break;
        }
    }
    let error = crate::rig::fatal(result);
    assert_eq!((error.code(), rig.retirer.rounds), (prewire_runtime_core::error::ErrorCode::HeapDeadlock, 0));
    let told = error.to_string();
    assert!(told.contains(&made.to_string()) && told.contains("depth 3"), "{told}");
    assert!(rig.is_usable());
}
