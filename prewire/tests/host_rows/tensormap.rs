//! Which tasks wait for which, by the bytes that they touch, across workers.

use crate::stage::{FREE, Play, Stage, on_both};
use prewire::Argument::{InOut, Input, NoDependency, OutputExisting};
use prewire::host::{self, Callable, HostBuilder};
use prewire::{Argument, DataType, Run, SubmitError, TaskId, Tensor};
use std::sync::atomic::Ordering;

const FIRST: u64 = 0;
const SECOND: u64 = 1;
const WAITS: u64 = FREE + 1;

/// The first is held; the second must not start before it has ended, although a worker is free.
fn second_waits_for_first(
    play: &Play,
    run: &mut Run<'_>,
    first: &[Argument<'_>],
    second: &[Argument<'_>],
) -> Result<(), SubmitError> {
    play.clear();
    play.submit(run, FIRST, first)?;
    play.submit(run, WAITS, second)?;
    play.wait_for(FIRST);
    play.probe(run, &[])?;
    assert_eq!(play.starts(WAITS), 0, "the second has started beside the first");
    play.release(FIRST);
    play.wait_for_ends(2);
    assert_eq!(play.ended(), [FIRST, WAITS]);
    Ok(())
}

fn hazards(builder: HostBuilder) {
    let mut stage = Stage::subs(builder, 2);
    let (_buffer, bytes) = stage.bytes(128);
    let play = &stage.play;
    stage
        .host
        .run(|run| {
            let same = bytes.view(&[64], &[32]).expect("it lies within");
            second_waits_for_first(play, run, &[OutputExisting(&bytes)], &[Input(&same)])?;
            second_waits_for_first(play, run, &[InOut(&same)], &[InOut(&bytes)])?;
            second_waits_for_first(play, run, &[OutputExisting(&bytes)], &[OutputExisting(&same)])?;
            second_waits_for_first(play, run, &[Input(&bytes)], &[OutputExisting(&same)])
        })
        .expect("it runs");
    play.clear();
    // What is marked as of no dependency waits for nothing, and nothing waits for it.
    stage
        .host
        .run(|run| {
            play.submit(run, FIRST, &[OutputExisting(&bytes)])?;
            play.submit(run, SECOND, &[NoDependency(&bytes)])?;
            play.wait_for(FIRST);
            play.wait_for(SECOND);
            play.release(FIRST);
            play.submit(run, WAITS, &[Input(&bytes)])?;
            play.wait_for(WAITS);
            play.release(SECOND);
            Ok(())
        })
        .expect("it runs");
    assert_eq!(play.ended().len(), 3);
}

/// A writer waits for all earlier readers, whichever of them ends last.
fn all_readers(builder: HostBuilder) {
    let mut stage = Stage::subs(builder, 3);
    let (_buffer, bytes) = stage.bytes(64);
    let play = &stage.play;
    for [sooner, later] in [[FIRST, SECOND], [SECOND, FIRST]] {
        play.clear();
        stage
            .host
            .run(|run| {
                let readers =
                    [play.submit(run, FIRST, &[Input(&bytes)])?.id, play.submit(run, SECOND, &[Input(&bytes)])?.id];
                play.submit(run, WAITS, &[OutputExisting(&bytes)])?;
                play.wait_for(FIRST);
                play.wait_for(SECOND);
                play.release(sooner);
                play.probe(run, &[readers[sooner as usize]])?;
                assert_eq!(play.starts(WAITS), 0, "a reader is left");
                play.release(later);
                Ok(())
            })
            .expect("it runs");
        assert_eq!(play.ended(), [sooner, later, WAITS]);
    }
}

/// Claims HOST-065.
#[test]
fn a_task_waits_for_earlier_uses_of_its_bytes() {
    on_both(hazards);
    on_both(all_readers);
}

/// A callable that waits until as many of its kind have started as its scalar says.
fn together() -> Callable {
    Callable::sub("together", |task| {
        let stage = crate::rig::task_words(task, 1);
        let count = task.scalar::<u64>(0)?;
        stage[0].fetch_add(1, Ordering::SeqCst);
        crate::rig::hold(task, || crate::rig::get(&stage[0]) >= count)
    })
}

fn matrix(stage: &mut Stage) -> (prewire::Buffer, Tensor) {
    let buffer = stage.host.buffer(4 * 16 * 16).expect("a buffer");
    let matrix = buffer.tensor(&[16, 16], DataType::F32).expect("a tensor");
    (buffer, matrix)
}

fn tiles(matrix: &Tensor) -> Vec<Tensor> {
    let corners = [[0, 0], [0, 8], [8, 0], [8, 8]];
    corners.iter().map(|corner| matrix.view(&[8, 8], corner).expect("it lies within")).collect()
}

fn disjoint_writers(builder: HostBuilder) {
    let mut stage = Stage::new(builder.subs(4), vec![together()]);
    let (_buffer, matrix) = matrix(&mut stage);
    let columns = [0, 8].map(|column| matrix.view(&[16, 4], &[0, column]).expect("it lies within"));
    for set in [tiles(&matrix), columns.to_vec()] {
        stage.play.clear();
        let count = [(set.len() as u64).into()];
        stage
            .host
            .run(|run| {
                for part in &set {
                    let arguments = [InOut(part), NoDependency(&stage.play.all)];
                    run.submit(&host::sub(stage.play.ids[0]).arguments(&arguments).scalars(&count))?;
                }
                Ok(())
            })
            .expect("all of them have started before any had ended");
    }
}

/// Claims HOST-066.
#[test]
fn writers_of_disjoint_parts_run_at_the_same_time() {
    on_both(disjoint_writers);
}

/// With every writer but one ended, the user has not started; it starts when that one has ended.
fn waits_for_each(stage: &mut Stage, writers: &[Tensor], uses: &[Argument<'_>]) {
    let play = &stage.play;
    let count = writers.len() as u64;
    for last in 0..count {
        play.clear();
        stage
            .host
            .run(|run| {
                let mut others = Vec::new();
                for (actor, part) in (0..).zip(writers) {
                    let id = play.submit(run, actor, &[OutputExisting(part)])?.id;
                    others.extend((actor != last).then_some(id));
                }
                play.submit(run, WAITS, uses)?;
                (0..count).for_each(|actor| play.wait_for(actor));
                (0..count).filter(|&actor| actor != last).for_each(|actor| play.release(actor));
                play.probe(run, &others)?;
                assert_eq!(play.starts(WAITS), 0, "writer {last} of {count} was not waited for");
                play.release(last);
                Ok(())
            })
            .expect("it runs");
        assert_eq!(play.ended()[count as usize - 1..], [last, WAITS]);
    }
}

fn overlaps(builder: HostBuilder) {
    let mut stage = Stage::subs(builder, 5);
    let (_buffer, matrix) = matrix(&mut stage);
    let middle = matrix.view(&[8, 8], &[4, 4]).expect("it lies within");
    waits_for_each(&mut stage, &tiles(&matrix), &[InOut(&middle)]);
    waits_for_each(&mut stage, &tiles(&matrix), &[Input(&matrix)]);
    let (_bytes, bytes) = stage.bytes(128);
    let [low, high, more] =
        [(0, 64), (64, 128), (63, 128)].map(|(from, to)| bytes.slice(0, from, to, 1).expect("within"));
    waits_for_each(&mut stage, &[low], &[InOut(&more)]);
    let play = &stage.play;
    play.clear();
    stage
        .host
        .run(|run| {
            play.submit(run, FIRST, &[OutputExisting(&low)])?;
            play.wait_for(FIRST);
            play.submit(run, WAITS, &[InOut(&high)])?;
            play.wait_for(WAITS);
            play.release(FIRST);
            Ok(())
        })
        .expect("it runs");
    assert_eq!(play.ended(), [WAITS, FIRST]);
}

/// Claims HOST-067.
#[test]
fn a_task_waits_for_every_writer_that_it_shares_a_byte_with() {
    on_both(overlaps);
}

fn covered_writes(builder: HostBuilder) {
    let mut stage = Stage::subs(builder.engine(|engine| engine.record_graph(true)), 3);
    let (_buffer, bytes) = stage.bytes(128);
    let [low, high] = [(0, 64), (64, 128)].map(|(from, to)| bytes.slice(0, from, to, 1).expect("within"));
    let play = &stage.play;
    let mut ids: Vec<TaskId> = Vec::new();
    let report = stage
        .host
        .run(|run| {
            // 0 writes all, 1 the lower half; 10 reads the lower half, 11 the upper one, and 1 is still held.
            ids.push(play.submit(run, FIRST, &[OutputExisting(&bytes)])?.id);
            ids.push(play.submit(run, SECOND, &[OutputExisting(&low)])?.id);
            ids.push(play.submit(run, FREE + 10, &[Input(&low)])?.id);
            ids.push(play.submit(run, FREE + 11, &[Input(&high)])?.id);
            play.wait_for(FIRST);
            play.probe(run, &[])?;
            assert_eq!([SECOND, FREE + 10, FREE + 11].map(|actor| play.starts(actor)), [0; 3]);
            play.release(FIRST);
            play.wait_for(FREE + 11);
            play.wait_for(SECOND);
            play.probe(run, &ids[..1])?;
            assert_eq!(play.starts(FREE + 10), 0, "the reader of the lower half waits for its last writer");
            play.release(SECOND);
            play.wait_for(FREE + 10);
            ids.push(play.submit(run, 2, &[OutputExisting(&bytes)])?.id);
            ids.push(play.submit(run, FREE + 12, &[Input(&bytes)])?.id);
            play.wait_for(2);
            play.probe(run, &[])?;
            assert_eq!(play.starts(FREE + 12), 0);
            play.release(2);
            Ok(())
        })
        .expect("it runs");
    let log = report.graph.expect("the graph was recorded");
    let waited_for = |reader: usize| -> Vec<TaskId> {
        log.pairs().into_iter().filter(|pair| pair.1 == ids[reader]).map(|pair| pair.0).collect()
    };
    // The second writer waits for the first itself, so that an edge from there adds nothing.
    let lower: Vec<TaskId> = waited_for(2).into_iter().filter(|&producer| producer != ids[0]).collect();
    assert_eq!((lower, waited_for(1)), (vec![ids[1]], vec![ids[0]]), "the reader of the lower half");
    assert_eq!(waited_for(3), [ids[0]], "the reader of the upper half");
    assert_eq!(waited_for(5), [ids[4]], "the reader behind the third writer");
}

/// Claims HOST-068.
#[test]
fn a_reader_waits_only_for_the_last_writers_of_its_bytes() {
    on_both(covered_writes);
}
