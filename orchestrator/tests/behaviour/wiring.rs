//! From the look-up to readiness: edges to producers in every state, and what stays alive for whom.

use crate::rig::{KERNEL, Rig, release, small};
use prewire_orchestrator::OrchestratorConfig;
use prewire_runtime_core::consumers::Ending;
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::id::{EdgeIndex, TaskId};
use prewire_runtime_core::task::{Argument, Dependency, NewTensor, Task};
use prewire_runtime_core::tensor::{DataType, Tensor};
use std::cell::RefCell;
use std::rc::Rc;

fn owner(rig: &mut Rig, elements: u32) -> (TaskId, Tensor) {
    let output = Argument::Output(NewTensor::new(&[elements], DataType::U32));
    let (id, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[output])).unwrap();
    (id, outputs[0])
}

fn on(ids: &[TaskId]) -> Vec<Dependency> {
    ids.iter().map(|&id| Dependency::on(id)).collect()
}

/// Claims CHIP-056 (that a core takes it at once is seen in the whole runtime).
#[test]
fn a_task_without_producers_is_ready_when_its_submit_returns() {
    use prewire_runtime_core::graph::Queue;
    let mut rig = Rig::new(small());
    let buffer = rig.external(&[4]);
    let queued = |rig: &Rig| Queue::ALL.map(|queue| rig.graph.queue(queue).len()).iter().sum::<usize>();
    assert_eq!(queued(&rig), 0);
    let task = rig.task(&[Argument::InOut(&buffer)]);
    assert_eq!((queued(&rig), rig.graph.completed()), (1, 0), "it is in its queue before anything else happens");
    assert!(rig.retirer.is_ready(task));
    assert_eq!((rig.retirer.routed[&task], rig.retirer.rounds), (1, 0));
    rig.retirer.complete(task);
    assert_eq!((queued(&rig), rig.retirer.routed[&task]), (0, 1), "and it never comes back");
}

/// Claims CHIP-057.
#[test]
fn a_task_whose_producers_are_done_is_ready_at_once() {
    let mut rig = Rig::new(small());
    let (producers, tensors): (Vec<_>, Vec<_>) = (0..5).map(|_| owner(&mut rig, 4)).unzip();
    rig.retirer.run();
    let arguments: Vec<_> = tensors.iter().map(Argument::Input).collect();
    let consumer = rig.task(&arguments);
    assert!(rig.retirer.is_ready(consumer));
    assert_eq!(rig.retirer.routed[&consumer], 1);
    for &id in &producers {
        let slot = rig.orchestrator.slot_of(id).unwrap();
        let producer = rig.graph.slots.get(slot);
        assert_eq!(producer.consumers.ending(), Some(Ending::Ok), "nothing was put on a closed list");
        assert_eq!(rig.graph.slots.holds(slot), 1, "the consumer keeps it");
    }
    rig.retirer.complete(consumer);
    let held = |id| rig.graph.slots.holds(rig.orchestrator.slot_of(id).unwrap());
    assert!(producers.iter().all(|&id| held(id) == 0));
    assert_eq!(rig.retirer.routed[&consumer], 1);
}

/// Claims CHIP-058.
#[test]
fn a_task_is_ready_when_its_last_producer_is_done() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut rig = Rig::new(small());
        let done: Vec<_> = (0..2).map(|_| rig.task(&[])).collect();
        rig.retirer.run();
        let gated: Vec<_> = (0..3).map(|_| rig.task(&[])).collect();
        for &id in &gated {
            rig.gate(id);
        }
        let all: Vec<_> = done.iter().chain(&gated).copied().collect();
        let consumer = rig.submit(&Task::vector(KERNEL).dependencies(&on(&all)));
        let slot = rig.orchestrator.slot_of(consumer).unwrap();
        assert_eq!(rig.graph.slots.get(slot).waits_left(), 3, "linked to three, two counted as done");
        for (gates_left, &place) in (1..=3).rev().zip(&order) {
            assert!(!rig.retirer.is_ready(consumer), "{gates_left} gates are closed");
            rig.retirer.complete(gated[place]);
        }
        assert!(rig.retirer.is_ready(consumer));
        assert_eq!(rig.retirer.routed[&consumer], 1);
        rig.retirer.complete(consumer);
        assert_eq!(rig.retirer.routed[&consumer], 1);
    }
}

/// Claims CHIP-061 (the half without threads).
#[test]
fn the_completion_walk_survives_its_consumers() {
    let mut rig = Rig::new(OrchestratorConfig { window: [8, 4, 4, 4], edges: [8, 4, 4, 4], ..small() });
    let graph = std::sync::Arc::clone(&rig.graph);
    let producer = rig.task(&[]);
    rig.gate(producer);
    let consumers: Vec<_> = (1..=3)
        .map(|depth| {
            for _ in 0..depth {
                rig.open();
            }
            let id = rig.submit(&Task::vector(KERNEL).dependencies(&[Dependency::wait_only(producer)]));
            for _ in 0..depth {
                rig.close();
            }
            id
        })
        .collect();
    rig.retirer.pull();
    let place = rig.retirer.ready.iter().position(|&(_, id)| id == producer).unwrap();
    let (slot, _) = rig.retirer.ready.remove(place);
    // SAFETY: the producer is ended here and nowhere else.
    let walk = unsafe { graph.slots.get(slot).consumers.close(&graph.edges, Ending::Ok) };
    let mut reached = Vec::new();
    for edge in walk {
        let slot = graph.slots.get(edge.consumer);
        // SAFETY: the consumer waits for this walk.
        let id = unsafe { slot.body() }.id;
        reached.push(id);
        assert!(slot.arrive());
        // SAFETY: this arrival made it ready.
        unsafe { graph.route(edge.consumer) };
        // It runs, is reclaimed, and its slot and its edge go to new tasks, whose edges must be left alone.
        rig.retirer.complete(id);
        for _ in 0..id.ring().0 {
            rig.open();
        }
        let mut reused = false;
        for _ in 0..8 {
            let first = rig.task(&[]);
            rig.gate(first);
            let second = rig.submit(&Task::vector(KERNEL).dependencies(&on(&[first])));
            let body = |id| {
                let slot = rig.orchestrator.slot_of(id).unwrap();
                // SAFETY: the task has not ended.
                (slot, *unsafe { graph.slots.get(slot).body() })
            };
            let ((first_slot, _), (second_slot, wired)) = (body(first), body(second));
            reused |= first_slot == edge.consumer || second_slot == edge.consumer;
            // SAFETY: as above.
            let written = unsafe { graph.edges.get(EdgeIndex(wired.edges)).read() };
            assert_eq!((written.producer, written.consumer), (first_slot, second_slot));
            assert!(written.flags.contains(EdgeFlags::RETAIN));
            rig.retirer.complete(first);
            rig.retirer.complete(second);
        }
        assert!(reused, "the slot of {id} was used again");
        for _ in 0..id.ring().0 {
            rig.close();
        }
    }
    assert_eq!(reached, consumers);
    release(&graph, graph.slots.get(slot));
    assert!(consumers.iter().all(|id| rig.retirer.routed[id] == 1));
}

/// Claims CHIP-062.
#[test]
fn a_submit_that_waited_looks_its_producers_up_again() {
    for explicit in [true, false] {
        let mut rig = Rig::new(OrchestratorConfig { window: [4; 4], ..small() });
        let buffer = rig.external(&[4]);
        rig.open();
        let head = rig.overwrite(&buffer, |_| {});
        rig.gate(head);
        let slot = rig.orchestrator.slot_of(head).unwrap();
        for _ in 0..3 {
            rig.task(&[]);
        }
        rig.close();
        rig.retirer.each_round = Some(Box::new(move |round| if round == 5 { vec![head] } else { Vec::new() }));
        rig.open();
        let consumer = if explicit {
            rig.submit(&Task::vector(KERNEL).dependencies(&on(&[head])))
        } else {
            rig.input(&buffer, |_| {})
        };
        assert!(rig.retirer.rounds >= 5, "it had to wait");
        assert_eq!(rig.orchestrator.slot_of(consumer), Some(slot), "it got its producer's slot");
        // SAFETY: the task has not ended.
        assert_eq!(unsafe { rig.graph.slots.get(slot).body() }.edge_count, 0);
        assert!(rig.retirer.is_ready(consumer));
        rig.retirer.run();
        assert_eq!(rig.retirer.ended.iter().filter(|(id, _)| *id == consumer).count(), 1);
    }
}

/// Claims CHIP-063.
#[test]
fn a_finished_producer_that_is_retained_keeps_its_bytes() {
    let mut rig = Rig::new(OrchestratorConfig { heap_bytes: [64 << 10; 4], ..small() });
    rig.open();
    let (producer, tensor) = owner(&mut rig, 1024);
    rig.does(producer, |seen| seen.fill(0, 63));
    rig.retirer.run();
    let saw = Rc::new(RefCell::new(Vec::new()));
    let values = Rc::clone(&saw);
    let consumer = rig.input(&tensor, move |seen| *values.borrow_mut() = seen.all(0));
    rig.gate(consumer);
    rig.close();

    let kept = tensor.address()..tensor.address() + 4096;
    for _ in 0..15 {
        rig.open();
        let (id, other) = owner(&mut rig, 1024);
        assert!(!kept.contains(&other.address()) && !kept.contains(&(other.address() + 4095)));
        rig.does(id, |seen| seen.fill(0, 1));
        rig.retirer.run();
        rig.close();
    }
    assert_eq!(rig.retirer.rounds, 0);
    rig.retirer.each_round = Some(Box::new(move |round| if round == 3 { vec![consumer] } else { Vec::new() }));
    rig.open();
    owner(&mut rig, 1024);
    assert!(rig.retirer.rounds >= 3, "the next one had to wait for the gate");
    assert_eq!(*saw.borrow(), [63; 1024]);
}

/// Claims CHIP-064.
#[test]
fn a_wait_only_dependency_keeps_nothing() {
    let mut rig = Rig::new(OrchestratorConfig { window: [4; 4], ..small() });
    let gate = rig.task(&[]);
    rig.gate(gate);
    rig.open();
    let (producer, tensor) = owner(&mut rig, 16);
    let slot = rig.orchestrator.slot_of(producer).unwrap();
    rig.close();
    let named = [Dependency::wait_only(producer), Dependency::wait_only(gate)];
    let consumer = rig.submit(&Task::vector(KERNEL).dependencies(&named));
    rig.retirer.complete(producer);
    rig.open();
    let (new, other) = owner(&mut rig, 16);
    assert!(rig.orchestrator.slot_of(producer).is_none(), "it is reclaimed although its consumer still waits");
    assert_eq!(other.address(), tensor.address(), "and so are its bytes");
    rig.retirer.complete(new);
    let tasks: Vec<_> = (0..3).map(|_| rig.task(&[])).collect();
    let slots: Vec<_> = tasks.iter().chain([&new]).map(|&id| rig.orchestrator.slot_of(id).unwrap()).collect();
    assert!(slots.contains(&slot), "its slot is another task's");
    assert!(!rig.retirer.is_ready(consumer));
    rig.retirer.complete(gate);
    rig.retirer.complete(consumer);
}

/// Many readers of one region are joined: a later writer has few edges, and still comes after every one of them.
#[test]
fn many_readers_are_joined() {
    let mut rig = Rig::new(OrchestratorConfig { window: [512; 4], edges: [512; 4], ..small() });
    let buffer = rig.external(&[4]);
    let mut readers = Vec::new();
    for _ in 0..300 {
        let id = rig.input(&buffer, |_| {});
        readers.push(rig.gate(id));
    }
    let writer = rig.overwrite(&buffer, |_| {});
    let slot = rig.orchestrator.slot_of(writer).unwrap();
    // SAFETY: the task has not ended.
    let edges = unsafe { rig.graph.slots.get(slot).body() }.edge_count;
    assert!(edges <= 64, "{edges} edges for 300 readers");
    assert!(rig.orchestrator.report().joins > 0);
    assert_eq!(rig.orchestrator.report().tasks, 301, "joins are no tasks of the user");
    for &id in &readers {
        rig.retirer.run();
        assert!(!rig.retirer.has_ended(writer) && !rig.retirer.is_ready(writer));
        rig.retirer.complete(id);
    }
    rig.retirer.run();
    assert!(rig.retirer.has_ended(writer));
    rig.finish();
    assert_eq!(rig.orchestrator.usage(), Default::default());
}

/// An older writer ends, and its slot is taken back, between a newer writer's look-up, which found it, and its
/// entry, which waited for the room. The entry is the newer writer's, and a reader waits for it.
#[test]
fn an_older_writer_that_goes_between_look_up_and_entry_takes_nothing_with_it() {
    let mut rig = Rig::new(OrchestratorConfig { window: [4; 4], ..small() });
    let buffer = rig.external(&[4]);
    for _ in 0..100 {
        let older = rig.overwrite(&buffer, |_| {});
        rig.gate(older);
        let mut others = Vec::new();
        for _ in 0..3 {
            let id = rig.task(&[]);
            others.push(rig.gate(id));
        }
        let rounds = rig.retirer.rounds;
        rig.retirer.each_round = Some(Box::new(move |_| vec![older]));
        let newer = rig.overwrite(&buffer, |_| {});
        rig.retirer.each_round = None;
        assert!(rig.retirer.rounds > rounds && rig.retirer.has_ended(older), "it was there at the look-up");
        assert!(rig.orchestrator.slot_of(older).is_none(), "its slot has been taken back");
        rig.gate(newer);
        rig.retirer.complete(others[0]);
        let reader = rig.input(&buffer, |_| {});
        assert!(!rig.retirer.is_ready(reader), "it waits for the newer writer");
        rig.retirer.complete(newer);
        assert!(rig.retirer.is_ready(reader));
        rig.retirer.complete(reader);
        others[1..].iter().for_each(|&other| rig.retirer.complete(other));
    }
}
