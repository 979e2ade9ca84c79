//! Which tasks wait for which: what follows from the arguments, from who allocated them, and from what the user names.

use crate::rig::{KERNEL, Rig, recorded, refusal, small};
use prewire_orchestrator::{EdgeOrigin, Hazards, OrchestratorConfig, ScopeMode};
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::error::{ErrorCode, Refusal};
use prewire_runtime_core::id::{EdgeIndex, TaskId};
use prewire_runtime_core::task::{Argument, Dependency, NewTensor, Task};
use prewire_runtime_core::tensor::{DataType, Tensor};
use std::cell::RefCell;
use std::rc::Rc;

fn range(tensor: &Tensor, from: u32, to: u32) -> Tensor {
    tensor.view(&[to - from], &[from]).unwrap()
}

/// A generator of test input from a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}

/// Claims CHIP-015.
#[test]
fn a_reader_waits_for_the_writer_of_what_it_reads() {
    let mut rig = Rig::new(recorded());
    let buffer = rig.external(&[1024]);
    let writer = rig.overwrite(&range(&buffer, 0, 256), |seen| seen.fill(0, 7));
    rig.gate(writer);
    let saw = Rc::new(RefCell::new(Vec::new()));
    let values = Rc::clone(&saw);
    let reader = rig.input(&range(&buffer, 128, 384), move |seen| values.borrow_mut().extend(seen.all(0)));
    let beside = rig.input(&range(&buffer, 256, 512), |_| {});
    let behind = rig.overwrite(&range(&buffer, 512, 1024), |seen| seen.fill(0, 9));
    rig.retirer.run();
    assert!(!rig.retirer.is_ready(reader) && !rig.retirer.has_ended(writer));
    assert!(rig.retirer.has_ended(beside) && rig.retirer.has_ended(behind));
    rig.retirer.complete(writer);
    rig.retirer.complete(reader);
    let expected: Vec<u32> = [7; 128].into_iter().chain([0; 128]).collect();
    assert_eq!(*saw.borrow(), expected);
    assert_eq!(rig.pairs(), [(writer, reader)]);
}

/// Claims CHIP-016.
#[test]
fn a_writer_waits_for_every_reader_of_what_it_overwrites() {
    let mut random = Random(16);
    let mut rig = Rig::new(small());
    for _ in 0..1000 {
        let buffer = rig.external(&[512]);
        rig.overwrite(&buffer, |seen| seen.fill(0, 1));
        rig.retirer.run();
        let saw = Rc::new(RefCell::new(Vec::new()));
        let mut readers: Vec<TaskId> = (0..5)
            .map(|_| {
                let values = Rc::clone(&saw);
                let id = rig.input(&range(&buffer, 0, 256), move |seen| values.borrow_mut().push(seen.get(0, 255)));
                rig.gate(id)
            })
            .collect();
        let writer = rig.overwrite(&range(&buffer, 255, 257), |seen| seen.fill(0, 2));
        rig.retirer.run();
        assert!(readers.iter().all(|&reader| rig.retirer.is_ready(reader)), "all five run at the same time");
        while !readers.is_empty() {
            assert!(!rig.retirer.is_ready(writer), "{} readers have not finished", readers.len());
            let next = random.below(readers.len() as u64) as usize;
            rig.retirer.complete(readers.swap_remove(next));
        }
        rig.retirer.complete(writer);
        assert_eq!(*saw.borrow(), [1; 5]);
        assert_eq!((rig.read(&buffer, 255), rig.read(&buffer, 256)), (2, 2));
    }
}

/// Claims CHIP-017.
#[test]
fn writers_of_common_bytes_keep_their_order() {
    fn access(overwrites: bool, tensor: &Tensor) -> Argument<'_> {
        if overwrites { Argument::OutputExisting(tensor) } else { Argument::InOut(tensor) }
    }
    for (first, second) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut rig = Rig::new(recorded());
        let buffer = rig.external(&[1024]);
        let one = rig.task(&[access(first, &range(&buffer, 0, 256))]);
        rig.does(one, |seen| seen.fill(0, 1));
        rig.gate(one);
        let two = rig.task(&[access(second, &range(&buffer, 128, 384))]);
        rig.does(two, |seen| seen.fill(0, 2));
        rig.retirer.run();
        assert!(!rig.retirer.is_ready(two));
        rig.retirer.complete(one);
        rig.retirer.complete(two);
        let expected = [(0, 1), (127, 1), (128, 2), (255, 2), (383, 2), (384, 0)];
        assert!(expected.iter().all(|&(place, value)| rig.read(&buffer, place) == value));
        assert_eq!(rig.pairs(), [(one, two)]);
    }
}

/// Claims CHIP-018.
#[test]
fn a_reader_of_two_writers_waits_for_both_and_a_covering_writer_stands_for_all() {
    let mut rig = Rig::new(recorded());
    let buffer = rig.external(&[200]);
    let one = rig.overwrite(&range(&buffer, 0, 100), |seen| seen.fill(0, 1));
    let two = rig.overwrite(&range(&buffer, 50, 150), |seen| seen.fill(0, 2));
    let saw = Rc::new(RefCell::new(Vec::new()));
    let values = Rc::clone(&saw);
    let reader = rig.input(&range(&buffer, 0, 150), move |seen| values.borrow_mut().extend(seen.all(0)));
    let three = rig.overwrite(&range(&buffer, 0, 150), |seen| seen.fill(0, 3));
    let last = rig.input(&range(&buffer, 0, 150), |_| {});
    assert!(rig.has_edge(one, reader) && rig.has_edge(two, reader));
    assert!(rig.has_edge(three, last) && !rig.has_edge(one, last) && !rig.has_edge(two, last));
    rig.retirer.run();
    let expected: Vec<u32> = [1; 50].into_iter().chain([2; 100]).collect();
    assert_eq!(*saw.borrow(), expected);
}

/// Claims CHIP-023.
#[test]
fn an_empty_view_takes_part_in_nothing() {
    let mut rig = Rig::new(recorded());
    let buffer = rig.external(&[16, 16]);
    let writer = rig.overwrite(&buffer, |_| {});
    rig.gate(writer);
    let ran = Rc::new(RefCell::new(Vec::new()));
    for offset in [0, 5, 16] {
        let empty = buffer.view(&[0, 16], &[offset, 0]).unwrap();
        for argument in [Argument::Input(&empty), Argument::InOut(&empty), Argument::OutputExisting(&empty)] {
            let id = rig.task(&[argument]);
            let shapes = Rc::clone(&ran);
            rig.does(id, move |seen| shapes.borrow_mut().push(seen.tensors[0].shape().to_vec()));
        }
    }
    let output = Argument::Output(NewTensor::new(&[0, 16], DataType::U32));
    rig.open();
    let (_, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[output])).unwrap();
    let user = rig.task(&[Argument::Input(&outputs[0])]);
    rig.does(user, |seen| assert_eq!(seen.tensors[0].shape(), [0, 16]));
    rig.retirer.run();
    rig.close();
    assert_eq!(*ran.borrow(), vec![vec![0, 16]; 9]);
    assert_eq!(rig.retirer.ended.len(), 11);
    assert_eq!(rig.pairs(), []);
}

/// Claims CHIP-026.
#[test]
fn external_tensors_are_compared_by_bytes() {
    let mut rig = Rig::new(recorded());
    let base = rig.external(&[6144 / 4]).address();
    let a_key = rig.orchestrator.register_external(base, 4096);
    let b_key = rig.orchestrator.register_external(base + 2048, 4096);
    let a = rig.over(base, 4096, a_key, &[1024], DataType::F32);
    let b = rig.over(base + 2048, 4096, b_key, &[4096], DataType::U8);
    // The first four bytes of B are bytes 2048 to 2052 of the allocation: element 512 of A.
    let writer = rig.overwrite(&range(&b, 0, 4), |_| {});
    rig.gate(writer);
    let on = rig.input(&range(&a, 512, 513), |_| {});
    let beside = rig.input(&range(&a, 513, 514), |_| {});
    rig.retirer.run();
    assert!(!rig.retirer.is_ready(on) && rig.retirer.has_ended(beside));
    assert_eq!(rig.pairs(), [(writer, on)]);
    rig.retirer.complete(writer);
    rig.retirer.complete(on);
}

/// A registration that connects two pieces orders tasks over one and the other from then on, also those that are on their way.
#[test]
fn pieces_that_are_connected_later_are_one() {
    let mut rig = Rig::new(recorded());
    let base = rig.external(&[3072]).address();
    rig.orchestrator.unregister_external(base, 3072 * 4);
    let a_key = rig.orchestrator.register_external(base, 4096);
    let b_key = rig.orchestrator.register_external(base + 8192, 4096);
    assert_ne!(a_key, b_key);
    let b = rig.over(base + 8192, 4096, b_key, &[1024], DataType::U32);
    let early = rig.overwrite(&b, |seen| seen.fill(0, 1));
    let all_key = rig.orchestrator.register_external(base, 12_288);
    let all = rig.over(base, 12_288, all_key, &[3072], DataType::U32);
    let saw = Rc::new(RefCell::new(0));
    let value = Rc::clone(&saw);
    rig.input(&all, move |seen| *value.borrow_mut() = seen.get(0, 3000));
    assert!(rig.retirer.has_ended(early), "tasks under the old keys have ended before anything is looked up");
    let writer = rig.overwrite(&b, |seen| seen.fill(0, 2));
    let reader = rig.input(&all, |_| {});
    assert!(rig.has_edge(writer, reader));
    rig.retirer.run();
    assert_eq!(*saw.borrow(), 1);
}

/// What is known of a tensor's kind from earlier submits is known no longer than its memory is registered.
#[test]
fn memory_that_was_given_back_is_refused_however_often_it_was_used() {
    let mut rig = Rig::new(small());
    let tensor = rig.external(&[64]);
    let tiles: Vec<_> = (0..64).map(|tile| range(&tensor, tile, tile + 1)).collect();
    for tile in &tiles {
        rig.inout(tile, |_| {});
        rig.input(tile, |_| {});
    }
    rig.retirer.run();
    assert!(rig.orchestrator.unregister_external(tensor.address(), 64 * 4));
    for tile in &tiles {
        let refused = refusal(rig.try_submit(&Task::vector(KERNEL).arguments(&[Argument::Input(tile)])));
        assert!(matches!(refused, Refusal::ForeignMemory { argument: 0 }), "{refused}");
    }
    rig.orchestrator.register_external(tensor.address(), 64 * 4);
    let refused = refusal(rig.try_submit(&Task::vector(KERNEL).arguments(&[Argument::Input(&tiles[0])])));
    assert!(matches!(refused, Refusal::ForeignMemory { argument: 0 }), "the key is another one: {refused}");
    assert!(rig.is_usable());
}

/// Claims CHIP-027.
#[test]
fn reused_heap_bytes_are_a_new_buffer() {
    let mut rig = Rig::new(OrchestratorConfig { heap_bytes: [8192; 4], record: true, ..small() });
    let mut scope_of = std::collections::HashMap::new();
    for scope in 0..1000 {
        rig.open();
        let output = Argument::Output(NewTensor::new(&[1024], DataType::U32));
        let (creator, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[output])).unwrap();
        let writer = rig.inout(&outputs[0], |_| {});
        let reader = rig.input(&outputs[0], |_| {});
        for id in [creator, writer, reader] {
            scope_of.insert(id, scope);
        }
        if scope % 3 == 0 {
            rig.fails(writer, 1, "on purpose");
        }
        rig.retirer.run();
        rig.close();
        let ended: Vec<_> = rig.retirer.ended.drain(..).collect();
        let ran = scope % 3 != 0;
        assert_eq!(ended, [(creator, true), (writer, true), (reader, ran)], "scope {scope}");
    }
    let pairs = rig.pairs();
    assert_eq!(pairs.len(), 3000 - 1000 + 1000, "creator to both, writer to reader, in each scope");
    assert!(pairs.iter().all(|(producer, consumer)| scope_of[producer] == scope_of[consumer]));
}

/// Claims CHIP-028.
#[test]
fn creators_are_waited_for_and_kept() {
    let mut rig = Rig::new(recorded());
    let output = Argument::Output(NewTensor::new(&[16], DataType::U32));
    let (creator, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[output])).unwrap();
    let tensor = outputs[0];
    rig.gate(creator);
    let reader = rig.input(&tensor, |_| {});
    let edges = |rig: &Rig, consumer| {
        rig.orchestrator.log().edges.iter().filter(|edge| edge.consumer == consumer).copied().collect::<Vec<_>>()
    };
    let kept = EdgeFlags::WAIT.union(EdgeFlags::RETAIN);
    let found = edges(&rig, reader);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].producer, found[0].origin, found[0].argument), (creator, EdgeOrigin::Creator, Some(0)));
    assert!(found[0].flags.contains(kept));
    assert!(!rig.retirer.is_ready(reader));
    rig.retirer.complete(creator);
    rig.retirer.complete(reader);

    let writer = rig.inout(&tensor, |_| {});
    rig.gate(writer);
    let without = rig.task(&[Argument::NoDependency(&tensor)]);
    let found = edges(&rig, without);
    assert_eq!(found.len(), 1);
    assert!(found[0].producer == creator && found[0].flags.contains(kept));
    assert!(rig.retirer.is_ready(without), "it does not wait for the later writer");
    rig.gate(without);
    let slot = rig.orchestrator.slot_of(creator).unwrap();
    let holds = rig.graph.slots.holds(slot);
    rig.retirer.complete(writer);
    let next = rig.overwrite(&tensor, |_| {});
    assert!(rig.retirer.is_ready(next), "the argument without dependency left no trace");
    assert!(!rig.has_edge(without, next));
    rig.retirer.complete(without);
    rig.retirer.complete(next);
    assert_eq!(holds, 2, "the writer and the task without dependency kept the creator");
    assert_eq!(rig.graph.slots.holds(slot), 0);
}

/// Claims CHIP-029.
#[test]
fn a_producer_found_several_ways_is_one_edge() {
    for others in [0, 69] {
        let mut rig = Rig::new(OrchestratorConfig { window: [128; 4], ..recorded() });
        let output = Argument::Output(NewTensor::new(&[16], DataType::U32));
        let (producer, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[output])).unwrap();
        let tensor = outputs[0];
        let others: Vec<_> = (0..others).map(|_| rig.task(&[])).collect();
        let mut named: Vec<_> = others.iter().map(|&id| Dependency::wait_only(id)).collect();
        named.extend([Dependency::wait_only(producer), Dependency::on(producer)]);
        let arguments = [Argument::Input(&tensor), Argument::InOut(&tensor)];
        let user = rig.submit(&Task::vector(KERNEL).arguments(&arguments).dependencies(&named));
        let place = rig.graph.slots.get(rig.orchestrator.slot_of(user).unwrap());
        assert_eq!(place.waits_left() as usize, others.len() + 1, "one for each different producer");
        // SAFETY: the task has not ended.
        let body = *unsafe { place.body() };
        assert_eq!(body.edge_count as usize, others.len() + 1);
        let creator = rig.orchestrator.slot_of(producer).unwrap();
        let edge = (body.edges..body.edges + body.edge_count)
            // SAFETY: as above.
            .map(|edge| unsafe { rig.graph.edges.get(EdgeIndex(edge)).read() })
            .find(|edge| edge.producer == creator);
        assert_eq!(edge.map(|edge| edge.flags.bits()), Some(7), "the union of wait, retain and data");
        for &id in &others {
            rig.retirer.complete(id);
            assert!(!rig.retirer.is_ready(user));
        }
        rig.retirer.complete(producer);
        rig.retirer.complete(user);
        assert!(rig.retirer.routed.values().all(|&count| count == 1));
    }

    // A task that names a tensor twice does not wait for itself.
    let mut rig = Rig::new(recorded());
    let buffer = rig.external(&[64]);
    let twice = rig.task(&[Argument::Input(&buffer), Argument::InOut(&buffer)]);
    let (left, right) = (range(&buffer, 0, 40), range(&buffer, 20, 64));
    let overlapping = rig.task(&[Argument::InOut(&left), Argument::InOut(&right)]);
    rig.retirer.run();
    assert!(rig.retirer.has_ended(twice) && rig.retirer.has_ended(overlapping));
    assert_eq!(rig.retirer.routed[&twice] + rig.retirer.routed[&overlapping], 2);
    assert!(!rig.has_edge(twice, twice) && !rig.has_edge(overlapping, overlapping));
    assert!(rig.has_edge(twice, overlapping));
}

/// Claims CHIP-030.
#[test]
fn explicit_dependencies_are_never_cut_short() {
    for count in [16, 17, 64, 65, 200, 391] {
        let mut rig = Rig::new(OrchestratorConfig { window: [1024; 4], edges: [1024; 4], ..small() });
        let producers: Vec<_> = (0..count).map(|_| rig.task(&[])).collect();
        rig.gate(*producers.last().unwrap());
        let named: Vec<_> = producers.iter().map(|&id| Dependency::on(id)).collect();
        let user = rig.submit(&Task::vector(KERNEL).dependencies(&named));
        let slot = rig.orchestrator.slot_of(user).unwrap();
        assert_eq!(rig.graph.slots.get(slot).waits_left(), count);
        rig.retirer.run();
        assert!(!rig.retirer.is_ready(user) && rig.retirer.ended.len() == count as usize - 1);
        rig.retirer.gated.clear();
        rig.retirer.run();
        assert!(rig.retirer.has_ended(user));
    }

    // Every consumer sums what all producers wrote; nothing but the explicit edges orders them.
    let mut rig = Rig::new(OrchestratorConfig { window: [256; 4], edges: [8192; 4], ..small() });
    rig.orchestrator.open_scope(ScopeMode::Manual).unwrap();
    let cells = rig.external(&[64]);
    let sums = rig.external(&[64]);
    let producers: Vec<_> = (0..64u32)
        .map(|number| rig.overwrite(&range(&cells, number, number + 1), move |seen| seen.fill(0, number + 1)))
        .collect();
    let named: Vec<_> = producers.iter().map(|&id| Dependency::on(id)).collect();
    for number in 0..64 {
        let sum = range(&sums, number, number + 1);
        let arguments = [Argument::Input(&cells), Argument::OutputExisting(&sum)];
        let id = rig.submit(&Task::vector(KERNEL).arguments(&arguments).dependencies(&named));
        rig.does(id, |seen| seen.fill(1, seen.all(0).iter().sum()));
    }
    assert_eq!(rig.orchestrator.usage().rings[1].edges, 4096);
    rig.retirer.run();
    assert!((0..64).all(|number| rig.read(&sums, number) == 64 * 65 / 2));
}

/// Claims CHIP-031 (a null list is refused by the C library, in ffi/tests/c/chip_calls.c; here a later list replaces an earlier one, so that an empty one clears it).
#[test]
fn explicit_dependencies_name_tasks_of_the_run() {
    let mut rig = Rig::new(small());
    let next = rig.orchestrator.next_task();
    let unknown = [TaskId::NONE, next, TaskId::from_bits(next.to_bits() + 1)];
    for id in unknown {
        let told = refusal(rig.try_submit(&Task::vector(KERNEL).dependencies(&[Dependency::on(id)]))).to_string();
        assert!(told.contains("code 5") && told.contains(&id.to_string()), "{told}");
    }
    assert_eq!(rig.orchestrator.usage(), Default::default());
    let done = rig.task(&[]);
    rig.retirer.run();
    rig.task(&[]);
    rig.retirer.run();
    assert!(rig.orchestrator.slot_of(done).is_none(), "it is reclaimed");
    let user = rig.submit(&Task::vector(KERNEL).dependencies(&[Dependency::on(done)]));
    assert!(rig.retirer.is_ready(user), "satisfied at once");
    rig.gate(user);
    let named = [Dependency::on(user)];
    let free = rig.submit(&Task::vector(KERNEL).dependencies(&named).dependencies(&[]));
    assert!(rig.retirer.is_ready(free), "it waits for nobody");
    rig.retirer.complete(user);
    rig.retirer.run();
}

/// Claims CHIP-032.
#[test]
fn inference_can_be_narrowed() {
    let mut rig = Rig::new(OrchestratorConfig { hazards: Hazards::ReadAfterWrite, ..recorded() });
    let buffer = rig.external(&[64]);
    let writer = rig.overwrite(&buffer, |_| {});
    rig.gate(writer);
    let reader = rig.input(&buffer, |_| {});
    let beside_writer = rig.overwrite(&buffer, |_| {});
    assert!(!rig.retirer.is_ready(reader) && rig.retirer.is_ready(beside_writer));
    rig.retirer.complete(writer);
    rig.gate(reader);
    let beside_reader = rig.overwrite(&buffer, |_| {});
    assert!(rig.retirer.is_ready(reader) && rig.retirer.is_ready(beside_reader));
    rig.retirer.gated.clear();
    rig.retirer.run();
    assert_eq!(rig.pairs(), [(writer, reader)]);

    let mut rig = Rig::new(recorded());
    let buffer = rig.external(&[64]);
    let writer = rig.overwrite(&buffer, |_| {});
    rig.gate(writer);
    rig.orchestrator.open_scope(ScopeMode::Manual).unwrap();
    let free = rig.input(&buffer, |_| {});
    let argument = [Argument::Input(&buffer)];
    let bound = rig.submit(&Task::vector(KERNEL).arguments(&argument).dependencies(&[Dependency::on(writer)]));
    let written = rig.overwrite(&range(&buffer, 0, 8), |_| {});
    rig.gate(written);
    assert!(rig.retirer.is_ready(free) && rig.retirer.is_ready(written) && !rig.retirer.is_ready(bound));
    rig.close();
    // What the manual scope wrote is visible behind it.
    let after = rig.input(&range(&buffer, 0, 8), |_| {});
    assert!(!rig.retirer.is_ready(after));
    assert_eq!(rig.pairs().len(), 3);
    assert!(rig.has_edge(writer, bound) && rig.has_edge(written, after) && rig.has_edge(writer, after));
    rig.retirer.gated.clear();
    rig.retirer.run();
}

/// Claims CHIP-034.
#[test]
fn ten_thousand_readers_and_one_writer() {
    for config in [
        OrchestratorConfig { heap_bytes: [1 << 20; 4], ..OrchestratorConfig::default() },
        OrchestratorConfig { edges: [64; 4], ..small() },
    ] {
        let mut rig = Rig::new(config);
        let weights = rig.external(&[16]);
        rig.overwrite(&weights, |seen| seen.fill(0, 1));
        let sum = Rc::new(RefCell::new(0));
        for _ in 0..10_000 {
            let sum = Rc::clone(&sum);
            rig.input(&weights, move |seen| *sum.borrow_mut() += seen.get(0, 15));
        }
        rig.overwrite(&weights, |seen| seen.fill(0, 5));
        rig.retirer.run();
        assert_eq!(*sum.borrow(), 10_000, "every reader came before the writer");
        assert_eq!(rig.read(&weights, 15), 5);
        assert!(!rig.graph.run.is_cancelled());
    }
}

/// With readers that are held back, the writer's submit waits until enough of them are done for its edges to fit.
#[test]
fn a_writer_of_many_readers_waits_for_edges() {
    let mut rig = Rig::new(OrchestratorConfig { edges: [8; 4], window: [64; 4], ..small() });
    let weights = rig.external(&[16]);
    // Fewer than are joined, more than there are edges.
    let readers: Vec<_> = (0..20)
        .map(|_| {
            let id = rig.input(&weights, |_| {});
            rig.gate(id)
        })
        .collect();
    let left = readers.clone();
    rig.retirer.each_round = Some(Box::new(move |round| left[..(round as usize).min(20)].to_vec()));
    let writer = rig.overwrite(&weights, |_| {});
    assert_eq!(rig.retirer.ended.len(), 12, "eight fit at once, so twelve had to end before");
    assert!(!rig.retirer.is_ready(writer));
    rig.retirer.gated.clear();
    rig.retirer.run();
    assert!(rig.retirer.has_ended(writer));
}

/// Claims CHIP-035.
#[test]
fn the_index_says_what_it_needs() {
    use crate::rig::fatal;
    let mut rig = Rig::new(OrchestratorConfig { heap_bytes: [1 << 20; 4], ..OrchestratorConfig::default() });
    rig.retirer.works = false;
    let buffer = rig.external(&[64_000]);
    for task in 0..16_000 {
        let views: Vec<_> = (0..4).map(|part| range(&buffer, task * 4 + part, task * 4 + part + 1)).collect();
        let arguments: Vec<_> = views.iter().map(Argument::InOut).collect();
        rig.task(&arguments);
    }
    assert_eq!(rig.orchestrator.usage().rings[0].slots, 16_000);
    assert_eq!(rig.graph.completed(), 0, "none of them had to end before");

    let provoke = |rig: &mut Rig| {
        let buffer = rig.external(&[65]);
        for task in 0..65 {
            let output = Argument::Output(NewTensor::new(&[1], DataType::U8));
            let arguments = [Argument::InOut(&range(&buffer, task, task + 1)), output];
            rig.try_submit(&Task::vector(KERNEL).arguments(&arguments))?;
            rig.retirer.run();
        }
        Ok(())
    };
    let config =
        |entries| OrchestratorConfig { index_entries: entries, window: [256; 4], heap_bytes: [1 << 20; 4], ..small() };
    let mut rig = Rig::new(config(64));
    let fatal = fatal(provoke(&mut rig));
    assert_eq!(fatal.code(), ErrorCode::IndexOverflow);
    assert_eq!(rig.retirer.rounds, 0, "the verdict came at once");
    let told = fatal.to_string();
    let sufficient: u64 = told.split("at least ").nth(1).unwrap().split([' ', ',']).next().unwrap().parse().unwrap();
    assert!(told.contains("64 of 64"), "{told}");
    assert!(rig.is_usable());
    let mut rig = Rig::new(config(sufficient));
    assert!(provoke(&mut rig).is_ok(), "with {sufficient} entries it passes");
}
