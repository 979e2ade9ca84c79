//! The rings: what is taken and given back, when a submit waits, and when it says that waiting is hopeless.

use crate::dependencies::Random;
use crate::rig::{KERNEL, Rig, arguments_of, fatal, small};
use prewire_orchestrator::OrchestratorConfig;
use prewire_runtime_core::error::{ErrorCode, Fatal, SubmitError};
use prewire_runtime_core::id::{EdgeIndex, TaskId};
use prewire_runtime_core::task::{Argument, Dependency, NewTensor, Scalar, Task};
use prewire_runtime_core::tensor::{DataType, Tensor};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

fn bytes(count: u32) -> Argument<'static> {
    Argument::Output(NewTensor::new(&[count], DataType::U8))
}

/// A task with one output of so many bytes.
fn owner(rig: &mut Rig, count: u32) -> Result<(TaskId, Tensor), SubmitError> {
    let (id, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[bytes(count)]))?;
    Ok((id, outputs[0]))
}

/// The size that an error says is enough.
fn sufficient(fatal: &Fatal) -> u64 {
    let told = fatal.to_string();
    told.split("at least ").nth(1).unwrap().split([' ', ',']).next().unwrap().parse().unwrap()
}

/// Claims CHIP-037.
#[test]
fn a_scope_depth_has_its_ring() {
    let mut rig = Rig::new(OrchestratorConfig { window: [16; 4], ..small() });
    let mut seen = Vec::new();
    for _ in 0..6 {
        let id = rig.task(&[]);
        seen.push(id.ring().0);
        rig.open();
    }
    assert_eq!(seen, [0, 1, 2, 3, 3, 3]);
    assert!(rig.is_usable());

    for _ in 0..10 {
        let id = rig.task(&[]);
        rig.gate(id);
    }
    for _ in 0..1000 {
        rig.open();
        for _ in 0..10 {
            assert_eq!(rig.task(&[]).ring().0, 1);
        }
        rig.close();
    }
    rig.retirer.run();
    assert_eq!(rig.orchestrator.usage().rings[0].slots, 10);
}

/// Claims CHIP-038.
#[test]
fn a_stream_longer_than_its_window_is_no_deadlock() {
    for (tasks, scope, window) in [(525_312u32, 64, 16_384), (1_000_000, u32::MAX, 128)] {
        let mut rig = Rig::new(OrchestratorConfig { window: [window; 4], ..small() });
        rig.retirer.remember = false;
        let cell = rig.external(&[1]);
        rig.open();
        for task in 0..tasks {
            rig.task(&[Argument::InOut(&cell)]);
            if task % scope == scope - 1 {
                rig.close();
                rig.open();
            }
        }
        rig.retirer.run();
        assert_eq!(rig.graph.completed(), u64::from(tasks));
        assert!(!rig.graph.run.is_cancelled());
    }
}

/// Claims CHIP-039.
#[test]
fn slow_progress_is_no_deadlock() {
    let config = OrchestratorConfig { window: [4; 4], no_progress: Duration::from_millis(100), ..small() };
    let mut rig = Rig::new(config);
    for _ in 0..3 {
        rig.open();
    }
    // One task at a time runs: 50 rounds of a millisecond each, the last ten tasks ten times as long.
    let ready = Rc::new(RefCell::new(Vec::<TaskId>::new()));
    let running = Rc::clone(&ready);
    rig.retirer.works = false;
    let (mut ended, mut elapsed_ms) = (0, 0);
    rig.retirer.each_round = Some(Box::new(move |_| {
        elapsed_ms += 1;
        if elapsed_ms < if ended < 200 { 50 } else { 500 } {
            return Vec::new();
        }
        elapsed_ms = 0;
        ended += 1;
        vec![running.borrow_mut().remove(0)]
    }));
    let cell = rig.external(&[1]);
    for task in 0..210 {
        if task % 2 == 0 {
            rig.open();
        }
        let arguments = [Argument::InOut(&cell), bytes(64)];
        let id = rig.submit(&Task::vector(KERNEL).arguments(&arguments));
        ready.borrow_mut().push(id);
        if task % 2 == 1 {
            rig.close();
        }
    }
    assert!(rig.retirer.rounds > 200 * 50, "the orchestrator waited most of the time");
    assert!(!rig.graph.run.is_cancelled());
    rig.retirer.run();
    assert_eq!(rig.graph.completed(), 210);
}

/// Claims CHIP-040.
#[test]
fn a_task_is_admitted_whole_or_not_at_all() {
    let roomy = OrchestratorConfig { window: [16; 4], ..small() };
    let short: [(&str, OrchestratorConfig); 4] = [
        ("slots", OrchestratorConfig { window: [4; 4], ..small() }),
        ("heap", OrchestratorConfig { heap_bytes: [2048 + 64; 4], ..roomy.clone() }),
        ("edges", OrchestratorConfig { edges: [7; 4], ..roomy.clone() }),
        ("index", OrchestratorConfig { index_entries: 5, ..roomy }),
    ];
    for (what, config) in short {
        let mut rig = Rig::new(config);
        let buffer = rig.external(&[64]);
        let retained: Vec<_> = (0..2).map(|_| owner(&mut rig, 64).unwrap()).collect();
        for (id, _) in &retained {
            rig.gate(*id);
        }
        let mut result = Ok(());
        for task in 0..6 {
            let before = rig.orchestrator.usage();
            let view = buffer.view(&[2], &[task * 2]).unwrap();
            let arguments =
                [Argument::InOut(&view), Argument::Input(&retained[0].1), Argument::Input(&retained[1].1), bytes(512)];
            result = rig.try_submit(&Task::vector(KERNEL).arguments(&arguments)).map(|_| ());
            if result.is_err() {
                assert_eq!(rig.orchestrator.usage(), before, "{what}");
                break;
            }
            let after = rig.orchestrator.usage();
            assert_eq!(after.rings[0].slots, before.rings[0].slots + 1);
            assert_eq!(after.rings[0].heap_bytes, before.rings[0].heap_bytes + 512);
            assert_eq!(after.rings[0].edges, before.rings[0].edges + 2);
        }
        let code = fatal(result).code();
        let expected = match what {
            "slots" => ErrorCode::ScopeDeadlock,
            "heap" => ErrorCode::HeapDeadlock,
            "edges" => ErrorCode::EdgePoolOverflow,
            _ => ErrorCode::IndexOverflow,
        };
        assert_eq!(code, expected, "{what}");
        assert!(rig.is_usable());
    }
}

/// Claims CHIP-041.
#[test]
fn a_slot_is_reused_in_order_only() {
    let mut rig = Rig::new(OrchestratorConfig { window: [4; 4], ..small() });
    rig.open();
    let first = rig.submit(&Task::vector(KERNEL).scalars(&[Scalar(0)]));
    rig.gate(first);
    rig.close();
    let wrong = Rc::new(RefCell::new(0));
    let mut waited = 0;
    let graph = std::sync::Arc::clone(&rig.graph);
    rig.retirer.each_round = Some(Box::new(move |round| if round == 20 { vec![first] } else { Vec::new() }));
    rig.open();
    for number in 1..50u64 {
        let id = rig.submit(&Task::vector(KERNEL).scalars(&[Scalar(number)]));
        let wrong = Rc::clone(&wrong);
        rig.does(id, move |seen| *wrong.borrow_mut() += u32::from(seen.scalars != [number]));
        assert!(rig.orchestrator.usage().rings[1].slots <= 4);
        if number < 4 {
            rig.retirer.run();
            assert!(rig.retirer.has_ended(id) && !rig.retirer.has_ended(first));
            let slot = rig.orchestrator.slot_of(first).unwrap();
            // SAFETY: the gated task has not ended.
            let body = *unsafe { graph.slots.get(slot).body() };
            assert_eq!(arguments_of(&graph, &body).1, [0]);
        }
        if number == 3 {
            waited = rig.retirer.rounds;
        }
        if number == 4 {
            assert!(rig.retirer.has_ended(first) && rig.retirer.rounds >= 20);
        }
    }
    assert_eq!(waited, 0, "four tasks fit");
    rig.retirer.run();
    assert_eq!((*wrong.borrow(), rig.graph.completed()), (0, 50));
}

/// Claims CHIP-043.
#[test]
fn a_drained_heap_takes_a_block_of_its_whole_size() {
    let size = 3 << 19;
    let mut rig = Rig::new(OrchestratorConfig { heap_bytes: [4096, size, size, size], ..small() });
    for _ in 0..2 {
        rig.open();
        owner(&mut rig, 1 << 20).unwrap();
        rig.retirer.run();
        rig.close();
    }
    rig.open();
    owner(&mut rig, size as u32).unwrap();
    assert_eq!(rig.retirer.rounds, 0);
    rig.retirer.run();
    rig.close();

    // A task without bytes, gated, is older than the block and retires after it was placed.
    rig.open();
    let older = rig.task(&[]);
    rig.gate(older);
    rig.close();
    rig.open();
    let (block, tensor) = owner(&mut rig, size as u32).unwrap();
    rig.retirer.complete(older);
    rig.retirer.complete(block);
    // SAFETY: the test's own memory.
    unsafe { prewire_runtime_core::memory::DeviceMemory::write(&*rig.memory, tensor.address(), &[7; 64]) };
    rig.task(&[]);
    rig.task(&[]);
    assert_eq!(rig.orchestrator.usage().rings[1].heap_bytes, size, "the block is live");
    assert_eq!(rig.read(&tensor, 0), u32::from_le_bytes([7; 4]));
}

/// Claims CHIP-044.
#[test]
fn a_drained_edge_pool_takes_a_task_that_needs_all_of_it() {
    let mut rig = Rig::new(OrchestratorConfig { edges: [8; 4], ..small() });
    let outer: Vec<_> = (0..8).map(|_| rig.task(&[])).collect();
    for &id in &outer {
        rig.gate(id);
    }
    rig.open();
    let more: Vec<_> = (0..5).map(|_| rig.task(&[])).collect();
    let on = |ids: &[TaskId]| ids.iter().map(|&id| Dependency::on(id)).collect::<Vec<_>>();
    rig.submit(&Task::vector(KERNEL).dependencies(&on(&more)));
    rig.retirer.run();
    let user = rig.submit(&Task::vector(KERNEL).dependencies(&on(&outer)));
    assert_eq!((rig.retirer.rounds, rig.orchestrator.usage().rings[1].edges), (0, 8));
    for &id in &outer {
        assert!(!rig.retirer.is_ready(user));
        rig.retirer.complete(id);
    }
    rig.retirer.complete(user);
    rig.close();

    // The edges of every live task stay what they were, through 10 000 tasks.
    let mut random = Random(44);
    let mut live: Vec<(TaskId, Vec<TaskId>)> = Vec::new();
    let mut recent: Vec<TaskId> = Vec::new();
    for _ in 0..10_000 {
        let count = random.below(9) as usize;
        let producers: Vec<_> = recent.iter().rev().take(count).copied().collect();
        let id = rig.submit(&Task::vector(KERNEL).dependencies(&on(&producers)));
        recent.push(id);
        recent.drain(..recent.len().saturating_sub(8));
        live.push((id, producers));
        live.retain(|(id, _)| rig.orchestrator.slot_of(*id).is_some_and(|_| !rig.retirer.has_ended(*id)));
        for (id, producers) in &live {
            let slot = rig.orchestrator.slot_of(*id).unwrap();
            // SAFETY: the task has not ended.
            let body = *unsafe { rig.graph.slots.get(slot).body() };
            for edge in body.edges..body.edges + body.edge_count {
                // SAFETY: as above.
                let edge = unsafe { rig.graph.edges.get(EdgeIndex(edge)).read() };
                assert_eq!(edge.consumer, slot);
                // SAFETY: the edge retains its producer.
                let producer = unsafe { rig.graph.slots.get(edge.producer).body() }.id;
                assert!(producers.contains(&producer), "{producer} is no producer of {id}");
            }
        }
        rig.retirer.pull();
        if !rig.retirer.ready.is_empty() && random.below(3) > 0 {
            let next = random.below(rig.retirer.ready.len() as u64) as usize;
            let next = rig.retirer.ready[next].1;
            rig.retirer.complete(next);
        }
        rig.retirer.ended.drain(..rig.retirer.ended.len().saturating_sub(64));
    }
    assert!(!rig.graph.run.is_cancelled());
}

/// Claims CHIP-045.
#[test]
fn tasks_without_edges_do_not_hold_up_the_edge_pool() {
    let mut rig = Rig::new(OrchestratorConfig { edges: [16; 4], window: [64; 4], heap_bytes: [1 << 20; 4], ..small() });
    let cells = rig.external(&[8]);
    for _ in 0..2 {
        rig.retirer.remember = false;
        let consumed = Rc::new(RefCell::new(0));
        for _ in 0..10_000 {
            rig.open();
            let produced = Rc::new(RefCell::new(0));
            let free: Vec<_> = (0..20)
                .map(|number| {
                    let id = rig.task(&[]);
                    let produced = Rc::clone(&produced);
                    rig.does(id, move |_| *produced.borrow_mut() += u32::from(number < 7))
                })
                .collect();
            for _ in 0..20 {
                rig.orchestrator.allocate(&[NewTensor::new(&[16], DataType::U32)], &mut rig.retirer).unwrap();
            }
            let named: Vec<_> = free[..7].iter().map(|&id| Dependency::on(id)).collect();
            for _ in 0..2 {
                let arguments = [Argument::InOut(&cells)];
                let id = rig.submit(&Task::vector(KERNEL).arguments(&arguments).dependencies(&named));
                let (produced, consumed) = (Rc::clone(&produced), Rc::clone(&consumed));
                rig.does(id, move |seen| {
                    seen.set(0, 0, seen.get(0, 0) + 1);
                    *consumed.borrow_mut() += u32::from(*produced.borrow() == 7);
                });
            }
            rig.close();
        }
        rig.retirer.run();
        assert_eq!(*consumed.borrow(), 20_000, "every consumer ran after all of its producers");
        assert!(!rig.graph.run.is_cancelled());
        let report = rig.orchestrator.report();
        assert_eq!((report.tasks, report.allocations), (220_000, 200_000));
        rig.finish();
        rig.begin();
    }
    assert_eq!(rig.read(&cells, 0), 40_000);
}

/// Claims CHIP-046.
#[test]
fn one_scope_with_more_tasks_than_its_window() {
    let provoke = |rig: &mut Rig| {
        rig.open();
        for task in 1..=8 {
            let result = owner(rig, 16);
            rig.retirer.run();
            if let Err(error) = result {
                return Err((task, error));
            }
        }
        Ok(())
    };
    let mut rig = Rig::new(OrchestratorConfig { window: [4; 4], ..small() });
    let (task, error) = provoke(&mut rig).unwrap_err();
    let fatal = fatal::<()>(Err(error));
    assert!(task == 4 || task == 5);
    assert_eq!((fatal.code(), rig.retirer.rounds), (ErrorCode::ScopeDeadlock, 0));
    let told = fatal.to_string();
    assert!(told.contains("depth 1") && told.contains("ring 1") && told.contains("window 4"), "{told}");
    let window = sufficient(&fatal);
    assert!(rig.is_usable());
    let mut rig = Rig::new(OrchestratorConfig { window: [window; 4], ..small() });
    assert!(provoke(&mut rig).is_ok(), "with a window of {window} it passes");
}

/// Claims CHIP-047.
#[test]
fn nested_scopes_that_fill_a_shared_ring() {
    let provoke = |rig: &mut Rig| {
        for _ in 0..8 {
            rig.open();
            for _ in 0..3 {
                owner(rig, 16)?;
                rig.retirer.run();
            }
        }
        Ok(())
    };
    let mut rig = Rig::new(OrchestratorConfig { window: [4; 4], ..small() });
    let fatal = fatal(provoke(&mut rig));
    assert_eq!((fatal.code(), rig.retirer.rounds), (ErrorCode::WindowDeadlock, 0));
    let told = fatal.to_string();
    let head = TaskId::new(prewire_runtime_core::id::RingIndex(3), 0).to_string();
    for part in ["ring 3", "4 of 4", &head, "depth 3"] {
        assert!(told.contains(part), "{told} should name {part}");
    }
    let window = sufficient(&fatal);
    assert!(rig.is_usable());
    let mut rig = Rig::new(OrchestratorConfig { window: [window; 4], ..small() });
    assert!(provoke(&mut rig).is_ok(), "with a window of {window} it passes");
}

/// Claims CHIP-048.
#[test]
fn a_heap_that_cannot_make_room() {
    let mut rig = Rig::new(OrchestratorConfig { heap_bytes: [1024; 4], ..small() });
    let too_large = fatal(owner(&mut rig, 32 << 10));
    assert_eq!((too_large.code(), rig.retirer.rounds), (ErrorCode::HeapDeadlock, 0));
    assert!(rig.is_usable());
    rig = Rig::new(OrchestratorConfig { heap_bytes: [sufficient(&too_large); 4], ..small() });
    assert!(owner(&mut rig, 32 << 10).is_ok());

    let provoke = |rig: &mut Rig| {
        rig.open();
        for _ in 0..5 {
            owner(rig, 1024)?;
            rig.retirer.run();
        }
        Ok(())
    };
    let mut rig = Rig::new(OrchestratorConfig { heap_bytes: [4096; 4], ..small() });
    let fatal = fatal(provoke(&mut rig));
    assert_eq!((fatal.code(), rig.retirer.rounds), (ErrorCode::HeapDeadlock, 0));
    let told = fatal.to_string();
    for part in ["ring 1", "1024 bytes", "4096 of 4096", "r1t0", "PREWIRE_RING_HEAP"] {
        assert!(told.contains(part), "{told} should name {part}");
    }
    assert!(rig.is_usable());
    rig = Rig::new(OrchestratorConfig { heap_bytes: [sufficient(&fatal); 4], ..small() });
    assert!(provoke(&mut rig).is_ok());
}

/// Claims CHIP-049.
#[test]
fn an_edge_pool_that_overflows() {
    let many = |rig: &mut Rig| {
        let producers: Vec<_> = (0..128).map(|_| rig.task(&[])).collect();
        for &id in &producers {
            rig.gate(id);
        }
        let named: Vec<_> = producers.into_iter().map(Dependency::on).collect();
        rig.try_submit(&Task::vector(KERNEL).dependencies(&named))
    };
    let mut rig = Rig::new(OrchestratorConfig { edges: [4; 4], window: [256; 4], ..small() });
    let overflow = fatal(many(&mut rig));
    assert_eq!((overflow.code(), rig.retirer.rounds), (ErrorCode::EdgePoolOverflow, 0));
    let told = overflow.to_string();
    for part in ["ring 0", "128", "of 4", "PREWIRE_RING_DEP_POOL"] {
        assert!(told.contains(part), "{told} should name {part}");
    }
    assert!(rig.is_usable());
    let mut rig = Rig::new(OrchestratorConfig { edges: [sufficient(&overflow); 4], window: [256; 4], ..small() });
    assert!(many(&mut rig).is_ok());

    let mut rig = Rig::new(OrchestratorConfig { edges: [4; 4], ..small() });
    rig.open();
    let (_, tensor) = owner(&mut rig, 16).unwrap();
    let results: Vec<_> = (0..5)
        .map(|_| {
            let result = rig.try_submit(&Task::vector(KERNEL).arguments(&[Argument::Input(&tensor), bytes(16)]));
            rig.retirer.run();
            result.map(|_| ())
        })
        .collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 4);
    let fatal = fatal(results[4].clone());
    assert_eq!((fatal.code(), rig.retirer.rounds), (ErrorCode::EdgePoolOverflow, 0));
    assert!(rig.is_usable());
}

/// Claims CHIP-050.
#[test]
fn peaks_are_what_was_needed() {
    let program = |rig: &mut Rig| {
        rig.retirer.remember = false;
        let cell = rig.external(&[1]);
        for scope in 0..2000u32 {
            rig.open();
            for _ in 0..5 {
                let id = rig.submit(&Task::vector(KERNEL).arguments(&[Argument::InOut(&cell), bytes(100)]));
                rig.does(id, |seen| seen.set(0, 0, seen.get(0, 0) + 1));
            }
            let value = rig.orchestrator.get(&cell, &[0], &mut rig.retirer).unwrap();
            assert_eq!(value, Scalar(u64::from(scope + 1) * 5));
            rig.close();
        }
        rig.finish();
        rig.orchestrator.report()
    };
    let report = program(&mut Rig::new(OrchestratorConfig { window: [64; 4], ..small() }));
    assert_eq!(report.tasks, 10_000);
    let peak = report.peaks[1];
    assert!((5..=10).contains(&peak.slots), "a window peak of {}", peak.slots);
    let again = OrchestratorConfig {
        window: report.peaks.map(|peak| peak.slots.max(4).next_power_of_two()),
        heap_bytes: report.peaks.map(|peak| peak.heap_bytes.max(1024)),
        edges: report.peaks.map(|peak| peak.edges.max(4)),
        index_entries: report.index_peak.max(4),
        ..small()
    };
    assert_eq!(program(&mut Rig::new(again)).tasks, 10_000);
}

/// A wait in which nothing runs, is ready or moves ends after the no-progress budget, and says what is in the way.
#[test]
fn a_wait_without_any_progress_is_given_up() {
    let no_progress = Duration::from_millis(30);
    let mut rig = Rig::new(OrchestratorConfig { window: [4; 4], no_progress, ..small() });
    rig.retirer.gated_run = false;
    let stuck = rig.task(&[]);
    rig.gate(stuck);
    for _ in 0..3 {
        rig.task(&[]);
    }
    rig.retirer.run();
    let fatal = fatal(rig.try_submit(&Task::vector(KERNEL)));
    assert_eq!(fatal.code(), ErrorCode::WindowDeadlock);
    assert!(fatal.to_string().contains(&format!("task {stuck}, is not finished")), "{fatal}");
    assert_eq!(rig.retirer.now_ns, 30_000_000, "after its budget and not before");
    assert!(rig.is_usable());
}

/// A window larger than is first used is opened up when a scope keeps everything, and as far as configured.
#[test]
fn a_window_widens_under_need() {
    let mut rig = Rig::new(OrchestratorConfig { window: [8192; 4], heap_bytes: [1 << 20; 4], ..small() });
    for _ in 0..8192 {
        owner(&mut rig, 1).unwrap();
    }
    assert_eq!(rig.retirer.rounds, 0);
    assert_eq!(rig.orchestrator.usage().rings[0].slots, 8192);
    assert_eq!(fatal(owner(&mut rig, 1)).code(), ErrorCode::ScopeDeadlock);
}
