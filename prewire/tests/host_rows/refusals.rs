//! Submits that are refused: for what, with which words, and that nothing is left of them.

use crate::stage::{FREE, Play, Stage, on_both};
use prewire::Argument::{InOut, Input, NoDependency, Output, OutputExisting};
use prewire::host::{self, HostBuilder};
use prewire::{Argument, Buffer, CoreId, DataType, ErrorCode, Member, NewTensor, Placement};
use prewire::{Refusal, Report, Run, RunError, SubmitError, Tensor};

/// Submits a task with these arguments that ends at once.
fn submit(play: &Play, run: &mut Run<'_>, uses: &[Argument<'_>]) -> Result<(), SubmitError> {
    play.submit(run, FREE, uses).map(drop)
}

fn bytes(buffer: &Buffer, from: u64, count: u32) -> Tensor {
    buffer.tensor_at(from, &[count], DataType::U8).expect("within")
}

/// Two arguments that both write, and whether they have a byte in common.
fn written_together(builder: HostBuilder) {
    let mut stage = Stage::subs(builder, 1);
    let (one, all) = stage.bytes(256);
    let (other, _) = stage.bytes(256);
    let play = &stage.play;
    let matrix = one.tensor(&[16, 16], DataType::U8).expect("a tensor");
    let columns = |from, count| matrix.view(&[16, count], &[0, from]).expect("within");
    let wide = one.tensor(&[64], DataType::U32).expect("a tensor");
    let cases = [
        ("the same", all, all, true),
        ("one byte", bytes(&one, 0, 65), bytes(&one, 64, 64), true),
        ("next to each other", bytes(&one, 0, 64), bytes(&one, 64, 64), false),
        ("other types", wide, bytes(&one, 255, 1), true),
        ("columns", columns(0, 4), columns(4, 4), false),
        ("columns with one in common", columns(0, 5), columns(4, 4), true),
        (
            "every other element",
            all.slice(0, 0, 256, 2).expect("a slice"),
            all.slice(0, 1, 256, 2).expect("a slice"),
            false,
        ),
        ("a row across columns", columns(3, 2), matrix.view(&[1, 16], &[7, 0]).expect("within"), true),
        ("equal offsets in two buffers", bytes(&one, 32, 8), bytes(&other, 32, 8), false),
        ("nothing at all", all, all.slice(0, 9, 9, 1).expect("a slice"), false),
    ];
    for (what, first, second, meet) in &cases {
        let written: [(&str, [Argument<'_>; 2]); 4] = [
            ("both in and out", [InOut(first), InOut(second)]),
            ("in and out, and out", [InOut(first), OutputExisting(second)]),
            ("out, and in and out", [OutputExisting(second), InOut(first)]),
            ("both out", [OutputExisting(first), OutputExisting(second)]),
        ];
        for (how, [first, second]) in written {
            // Whatever stands between them; the one behind them takes part in nothing.
            let uses = [Input(&all), first, NoDependency(&all), second, Input(&all)];
            let outcome = stage.host.run(|run| submit(play, run, &uses));
            if !meet {
                outcome.unwrap_or_else(|failed| panic!("{what}, {how}: {failed}"));
                continue;
            }
            let failed = outcome.expect_err(what);
            let RunError::Refused(Refusal::OverlappingWrites { arguments: [1, 3], .. }) = &*failed.error else {
                panic!("{what}, {how}: {failed}")
            };
            assert!(failed.to_string().contains("arguments 1 and 3"), "{failed}");
            assert_eq!((failed.error.code(), failed.report.tasks), (Some(ErrorCode::InvalidArguments), 0));
        }
        let read = [
            [Input(first), Input(second)],
            [Input(first), InOut(second)],
            [OutputExisting(first), Input(second)],
            [NoDependency(first), InOut(second)],
        ];
        for uses in read {
            stage.host.run(|run| submit(play, run, &uses)).expect("one of them only is written");
        }
    }
}

/// An argument of a list that is submitted again and again, read at one time and written at another.
fn changed_between_submits(builder: HostBuilder) {
    let mut stage = Stage::subs(builder, 1);
    let (_buffer, all) = stage.bytes(64);
    let play = &stage.play;
    let part = all.slice(0, 60, 64, 1).expect("a slice");
    let mut uses = vec![InOut(&all), Input(&part)];
    for (use_of_part, accepted) in [(Input(&part), true), (OutputExisting(&part), false), (Input(&part), true)] {
        uses[1] = use_of_part;
        assert_eq!(stage.host.run(|run| submit(play, run, &uses)).is_ok(), accepted, "{use_of_part:?}");
    }
}

/// Members of a group are told by their number, and are not compared with each other.
fn of_members(builder: HostBuilder) {
    let mut stage = Stage::subs(builder, 2);
    let (_buffer, all) = stage.bytes(64);
    let play = &stage.play;
    let part = all.slice(0, 60, 64, 1).expect("a slice");
    let last = NoDependency(&play.all);
    let (fine, wrong) = ([InOut(&all), last], [OutputExisting(&part), InOut(&all), last]);
    let scalars = [FREE.into()];
    let mut group = |second: &[Argument<'_>]| {
        let members = [&fine[..], second].map(|own| Member::new(own).scalars(&scalars));
        stage.host.run(|run| run.submit(&host::sub(play.act()).group(&members)).map(drop))
    };
    group(&fine).expect("each writes through one argument");
    let text = group(&wrong).expect_err("the second one writes four bytes through two arguments").to_string();
    assert!(text.contains("member 1") && text.contains("arguments 0 and 1"), "{text}");
}

/// Claims HOST-025. Arguments are checked as they are at each submit.
#[test]
fn no_byte_is_written_through_two_arguments() {
    on_both(written_together);
    on_both(changed_between_submits);
    on_both(of_members);
}

/// Refused submits in a row, of four kinds in turn.
const REFUSED: usize = 1000;

/// What a run with so many refused submits reports, and its error.
fn with_refusals(stage: &mut Stage, refused: usize) -> (Report, Option<RunError>) {
    let (_buffer, all) = stage.bytes(64);
    let play = &stage.play;
    play.clear();
    let part = all.slice(0, 0, 8, 1).expect("a slice");
    let many = vec![Input(&all); 257];
    let outcome = stage.host.run(|run| {
        let new = || Output(NewTensor::new(&[1000], DataType::U8));
        let dead = run.scope(|run| Ok(play.submit(run, FREE, &[new()])?.outputs[0]))?;
        // What is in use all the while: a held task, its output, and an edge to it.
        let held = play.submit(run, 0, &[OutputExisting(&all), new()])?.outputs[0];
        let before = play.submit(run, FREE + 1, &[Input(&all), Input(&held)])?.id;
        for at in 0..refused {
            let (error, words): (SubmitError, &str) = match at % 4 {
                0 => {
                    (play.submit_at(run, FREE, &[], Placement::Core(CoreId(77))).expect_err("no such core"), "core 77")
                }
                1 => (submit(play, run, &many).expect_err("too many"), "258 tensor arguments"),
                2 => (submit(play, run, &[InOut(&part), InOut(&all)]).expect_err("both write"), "arguments 0 and 1"),
                _ => (submit(play, run, &[Input(&dead)]).expect_err("its scope is closed"), "whose scope has closed"),
            };
            assert!(matches!(error, SubmitError::Refused(_)) && error.to_string().contains(words), "{error}");
        }
        let after = play.submit(run, FREE + 2, &[Input(&held)])?.id;
        assert_eq!((after.ring(), after.sequence()), (before.ring(), before.sequence() + 1));
        play.release(0);
        Ok(())
    });
    assert_eq!([0, FREE, FREE + 1, FREE + 2].map(|actor| play.starts(actor)), [1; 4], "what was accepted has run");
    match outcome {
        Ok(report) => (report, None),
        Err(failed) => (*failed.report, Some(*failed.error)),
    }
}

fn nothing_is_left(builder: HostBuilder) {
    let mut stage = Stage::subs(builder, 2);
    let (without, passed) = with_refusals(&mut stage, 0);
    assert!(passed.is_none());
    let (with, error) = with_refusals(&mut stage, REFUSED);
    assert_eq!((with.rings, with.index_entries), (without.rings, without.index_entries));
    assert_eq!((with.tasks, with.completed, with.failed, with.unrun), (4, 4, 0, 0));
    assert!(with.rings.iter().all(|ring| ring.left == (0, 0, 0)));
    let error = error.expect("calls were refused");
    assert_eq!(error.code(), Some(ErrorCode::InvalidArguments));
    assert!(matches!(&error, RunError::Refused(Refusal::Core { core: 77, .. })), "{error}");
}

/// Claims HOST-030.
#[test]
fn a_refused_submit_leaves_nothing_behind() {
    on_both(nothing_is_left);
}

/// A view that could reach what is not its own cannot even be made; a new tensor is looked at when it is submitted, and its argument is named.
#[test]
fn what_is_no_view_is_refused_by_field_and_value() {
    let mut stage = Stage::subs(host::HostRuntime::builder(), 1);
    let (buffer, all) = stage.bytes(64);
    let no_tensor = |from, shape: &[u32], data_type| {
        buffer.tensor_at(from, shape, data_type).expect_err("it is no part of the buffer").to_string()
    };
    let cases = [
        (no_tensor(0, &[1; 6], DataType::U8), vec!["6 dimensions", "at most 5"]),
        (no_tensor(2, &[4], DataType::U32), vec!["no multiple of 4"]),
        (no_tensor(1, &[64], DataType::U8), vec!["0 to 64", "holds 63"]),
        (no_tensor(0, &[u32::MAX; 5], DataType::I64), vec!["shape [4294967295", "needs more than"]),
    ];
    for (text, words) in cases {
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    let stride = all.slice(0, 0, 64, 0).expect_err("a step of 0").to_string();
    assert!(stride.contains("step 0 of dimension 0"), "{stride}");
    let play = &stage.play;
    for (shape, words) in
        [(&[2; 6][..], ["argument 1", "6 dimensions"]), (&[u32::MAX; 5], ["argument 1", "needs more than"])]
    {
        let new = Output(NewTensor::new(shape, DataType::I64));
        let failed = stage.host.run(|run| submit(play, run, &[Input(&all), new])).expect_err("no such tensor");
        let text = failed.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
}
