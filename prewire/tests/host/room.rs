//! Room: heaps, scopes, windows and buffers.

use crate::data::shared;
use crate::rig::{get, host, words};
use prewire::host::{self, Callable, HostRuntime};
use prewire::{Argument, DataType, NewTensor, Tensor};
use std::time::Duration;

/// Claims HOST-033.
#[test]
fn a_long_run_in_one_scope_needs_no_tuning() {
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![Callable::sub("nothing", |_| Ok(()))]);
    let report = host
        .run(|run| {
            run.scope(|run| {
                run.allocate(&[NewTensor::new(&[1024], DataType::U8)])?;
                for _ in 0..100_000 {
                    run.submit(&host::sub(ids[0]))?;
                }
                Ok(())
            })
        })
        .expect("no deadlock");
    assert_eq!(report.completed - report.allocations, 100_000);
    let ring = &report.rings[1];
    assert!(ring.window.0 <= ring.window.1 && ring.heap_bytes.0 <= 4096, "{ring:?}");
}

/// Claims HOST-055 and HOST-056.
#[test]
fn a_heap_serves_what_it_can_ever_serve() {
    let builder = HostRuntime::builder().subs(1).engine(|engine| engine.ring_heap(8192));
    let (mut host, _) = host(builder, vec![]);
    let error = host
        .run(|run| {
            run.allocate(&[NewTensor::new(&[8193], DataType::U8)])?;
            Ok(())
        })
        .expect_err("it can never fit")
        .to_string();
    for part in ["8193", "ring 0", "8192", "PREWIRE_RING_HEAP"] {
        assert!(error.contains(part), "{error} lacks {part}");
    }
    host.run(|run| {
        for _ in 0..1000 {
            run.scope(|run| run.allocate(&[NewTensor::new(&[5 * 1024], DataType::U8)]).map(drop))?;
        }
        run.scope(|run| run.allocate(&[NewTensor::new(&[77], DataType::U8)]).map(drop))?;
        for _ in 0..100 {
            run.scope(|run| run.allocate(&[NewTensor::new(&[8192], DataType::U8)]).map(drop))?;
        }
        Ok(())
    })
    .expect("an empty ring starts over");
}

/// Claims HOST-061.
#[test]
fn a_scope_that_can_never_go_on_is_reported_at_once() {
    let run_with = |heap: u64| {
        let engine = move |engine: prewire::Builder| engine.ring_heap(heap).no_progress(Duration::from_secs(600));
        let (mut host, _) = host(HostRuntime::builder().subs(1).engine(engine), vec![]);
        host.run(|run| {
            for _ in 0..3 {
                run.allocate(&[NewTensor::new(&[4096], DataType::U8)])?;
            }
            Ok(())
        })
    };
    let begun = std::time::Instant::now();
    let error = run_with(8192).expect_err("two of three fit").to_string();
    assert!(begun.elapsed() < Duration::from_secs(300));
    for part in ["ring 0", "8192", "r0a0"] {
        assert!(error.contains(part), "{error} lacks {part}");
    }
    let named: Vec<u64> =
        error.split(|letter: char| !letter.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    let enough = named.into_iter().find(|&size| size >= 12288).expect("the error names a size that would do");
    run_with(enough).expect("the size that the error names does");
}

/// Claims HOST-062.
#[test]
fn memory_that_a_running_task_holds_is_waited_for() {
    let slow = Callable::sub("slow", |task| {
        std::thread::sleep(Duration::from_secs(3));
        task.output::<u8>(0)?.as_mut_slice()[0] = 1;
        Ok(())
    });
    let engine = |engine: prewire::Builder| engine.ring_heap(8192).no_progress(Duration::from_millis(500));
    let (mut host, ids) = host(HostRuntime::builder().subs(1).engine(engine), vec![slow]);
    host.run(|run| {
        run.scope(|run| {
            let arguments = [Argument::Output(NewTensor::new(&[8192], DataType::U8))];
            run.submit(&host::sub(ids[0]).arguments(&arguments)).map(drop)
        })?;
        run.scope(|run| run.allocate(&[NewTensor::new(&[8192], DataType::U8)]).map(drop))
    })
    .expect("back-pressure is no deadlock");
}

/// Claims HOST-064.
#[test]
fn the_reported_peaks_suffice() {
    let work = || {
        Callable::sub("work", |task| {
            task.output::<u64>(task.tensors().len() - 1)?.as_mut_slice()[0] = 1;
            Ok(())
        })
    };
    let program = |host: &mut HostRuntime, id: host::CallableId| {
        host.run(|run| {
            let mut last: Option<Tensor> = None;
            for _ in 0..200 {
                run.scope(|run| {
                    let new = Argument::Output(NewTensor::new(&[32], DataType::U64));
                    let first = run.submit(&host::sub(id).arguments(&[new]))?.outputs[0];
                    let arguments = [Argument::Input(&first), new];
                    last = Some(run.submit(&host::sub(id).arguments(&arguments))?.outputs[0]);
                    Ok(())
                })?;
            }
            Ok(())
        })
    };
    let (mut generous, ids) = host(HostRuntime::builder().subs(1), vec![work()]);
    let report = program(&mut generous, ids[0]).expect("it runs");
    let peaks = report.rings;
    let engine = move |engine: prewire::Builder| {
        let window = peaks.map(|ring| ring.window.0.next_power_of_two().max(4));
        let (heap, edges) = (peaks.map(|ring| ring.heap_bytes.0.max(1024)), peaks.map(|ring| ring.edges.0.max(4)));
        engine.ring_task_window(window).ring_heap(heap).ring_dep_pool(edges)
    };
    let (mut exact, ids) = host(HostRuntime::builder().subs(1).engine(engine), vec![work()]);
    assert_eq!(program(&mut exact, ids[0]).expect("the peaks suffice").completed, report.completed);
}

/// Claims HOST-121.
#[test]
fn buffers_come_and_go_without_a_trace() {
    let touch = Callable::sub("touch", |task| {
        task.output::<u64>(0)?.as_mut_slice()[0] += 1;
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![touch]);
    let count = |pid: i32| {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("/proc").count();
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("/proc");
        (descriptors, maps.lines().filter(|line| line.contains("prewire-")).count())
    };
    let cores: Vec<_> = (0..2).map(|id| host.worker(prewire::CoreKind::Vector, id).expect("a worker")).collect();
    let pids: Vec<i32> =
        host.workers().iter().filter_map(|worker| worker.pid).chain([std::process::id() as i32]).collect();
    let mut before = Vec::new();
    let mut old: Option<Tensor> = None;
    for cycle in 0..10_000 {
        let (buffer, word) = shared(&mut host, 1);
        if cycle % 100 == 0 {
            host.run(|run| {
                for &core in &cores {
                    let arguments = [Argument::InOut(&word)];
                    let task = host::sub(ids[0]).arguments(&arguments);
                    run.submit(&task.placement(prewire::Placement::Core(core)))?;
                }
                Ok(())
            })
            .expect("it runs");
            assert_eq!(get(&words(&buffer)[0]), 2);
        }
        old = Some(word);
        drop(buffer);
        if cycle == 0 {
            settle(&host);
            before = pids.iter().map(|&pid| count(pid)).collect();
        }
    }
    settle(&host);
    assert_eq!(pids.iter().map(|&pid| count(pid)).collect::<Vec<_>>(), before);
    let (_again, _) = shared(&mut host, 1);
    let old = old.expect("ten thousand");
    let error = host.run(|run| run.submit(&host::sub(ids[0]).arguments(&[Argument::InOut(&old)])).map(drop));
    assert!(error.is_err(), "an old handle is refused");
}

/// Until the workers have let go of what was released: a later command is answered behind it.
fn settle(host: &HostRuntime) {
    for id in 0..2 {
        host.query(prewire::CoreKind::Vector, id).expect("it answers");
    }
}
