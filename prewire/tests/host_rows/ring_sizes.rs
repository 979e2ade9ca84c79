//! What a run says about the sizes of its rings: that one is too small for ever, that a wait is none, what would have been enough.

use crate::scope_heap::{HEAP, allocated, bytes, guard, guarded, with_heap};
use crate::stage::{FREE, Stage, on_both};
use prewire::Argument::{Input, NoDependency, Output};
use prewire::host::{self, Callable, HostBuilder};
use prewire::{ErrorCode, RingPeaks, Run, Scalar};
use std::time::{Duration, Instant};

/// Three outputs of 4 KiB in one open scope.
fn three_in_a_scope(stage: &mut Stage) -> Result<prewire::Report, prewire::Failed> {
    let play = &stage.play;
    play.clear();
    stage
        .host
        .run(|run| run.scope(|run| (FREE..FREE + 3).try_for_each(|actor| guarded(play, run, actor, 4096).map(drop))))
}

fn structural(builder: HostBuilder) {
    let long = Duration::from_secs(600);
    let patient = builder.engine(|engine| engine.no_progress(long));
    let mut stage = with_heap(patient.clone(), HEAP, 1);
    let begun = Instant::now();
    let failed = three_in_a_scope(&mut stage).expect_err("the scope holds more than its heap");
    assert!(begun.elapsed() < long / 2, "it was found by the budget and not by what is kept");
    assert_eq!(failed.error.code(), Some(ErrorCode::HeapDeadlock));
    let prewire::RunError::Fatal(fatal @ prewire::Fatal::HeapDeadlock { blocked, sufficient, .. }) = &*failed.error
    else {
        panic!("{failed}")
    };
    let text = fatal.to_string();
    let oldest = blocked.head.to_string();
    let words =
        ["ring 1", "8192 of 8192", &oldest, "open scope at depth 1", &sufficient.to_string(), "PREWIRE_RING_HEAP"];
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    let sufficient = *sufficient;
    drop(stage);
    three_in_a_scope(&mut with_heap(patient, sufficient, 1)).expect("the size that was named is enough");
}

/// Claims HOST-061.
#[test]
fn a_scope_that_holds_more_than_its_heap_is_reported_at_once() {
    on_both(structural);
}

fn a_long_task_is_no_deadlock(builder: HostBuilder) {
    let builder = builder.engine(|engine| engine.no_progress(Duration::from_millis(500)));
    let sleeps = Callable::sub("sleeps", |_| {
        std::thread::sleep(Duration::from_secs(3));
        Ok(())
    });
    let builder = builder.subs(1).engine(|engine| engine.ring_heap(HEAP));
    let mut stage = Stage::new(builder, vec![sleeps]);
    let sleeps = stage.play.ids[0];
    stage
        .host
        .run(|run| {
            let held = run.scope(|run| {
                let task = host::sub(sleeps);
                Ok(run.submit(&task.arguments(&[Output(bytes(HEAP))]))?.outputs[0])
            })?;
            let next = run.scope(|run| allocated(run, bytes(HEAP)))?;
            assert_eq!(held.first_byte(), next.first_byte());
            Ok(())
        })
        .expect("the wait ends with the task");
}

/// Claims HOST-062.
#[test]
fn a_wait_for_a_running_task_is_not_hopeless() {
    on_both(a_long_task_is_no_deadlock);
}

/// Sixteen tasks in a row with an output each, the first of them held until all are submitted, in one scope at each of the first two depths.
fn row(stage: &mut Stage) -> [RingPeaks; 4] {
    let play = &stage.play;
    play.clear();
    let in_a_row = |run: &mut Run<'_>| {
        let mut before = guarded(play, run, 0, 1024)?.output;
        for actor in FREE..FREE + 15 {
            let arguments = [Output(bytes(1024)), Input(&before), NoDependency(&play.all)];
            let scalars: [Scalar; 1] = [actor.into()];
            before = run.submit(&host::sub(play.ids[0]).arguments(&arguments).scalars(&scalars))?.outputs[0];
        }
        play.release(0);
        Ok(())
    };
    let report = stage.host.run(|run| run.scope(in_a_row)).expect("it fits");
    assert_eq!(report.completed, 16);
    report.rings
}

fn peaks_are_enough(builder: HostBuilder) {
    let mut stage = with_heap(builder.clone(), 1 << 20, 1);
    let rings = row(&mut stage);
    drop(stage);
    assert_eq!((rings[1].window.0, rings[1].heap_bytes.0, rings[0].window.0), (16, 16 * 1024, 0));
    assert!(rings[1].edges.0 >= 15, "each task waits for the one before");
    // Rings that were not used have the least that there is.
    let (window, heap, edges) = (
        rings.map(|ring| ring.window.0.max(4)),
        rings.map(|ring| ring.heap_bytes.0.max(1024)),
        rings.map(|ring| ring.edges.0.max(4)),
    );
    let builder = builder.engine(|engine| engine.ring_task_window(window).ring_heap(heap).ring_dep_pool(edges)).subs(1);
    let again = row(&mut Stage::new(builder, vec![guard()]));
    assert_eq!(again[1].window, (16, 16));
    assert_eq!(again[1].heap_bytes, (16 * 1024, 16 * 1024));
    assert_eq!(again[1].edges, (rings[1].edges.0, rings[1].edges.0));
}

/// Claims HOST-064. A window is a power of two, so the program needs one.
#[test]
fn the_sizes_that_a_run_reports_are_enough_for_it() {
    on_both(peaks_are_enough);
}
