//! Data: what orders tasks, what lives how long, what fits.

use crate::rig::{get, hold, host, set, task_words, wait_until, words};
use prewire::host::{self, Callable, HostRuntime};
use prewire::{Argument, Buffer, DataType, KernelError, Scalar, Tensor, TensorLayout};
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) fn shared(host: &mut HostRuntime, count: u32) -> (Buffer, Tensor) {
    let buffer = host.buffer(u64::from(count) * 8).expect("a buffer");
    let tensor = buffer.tensor(&[count], DataType::U64).expect("a tensor");
    (buffer, tensor)
}

/// Says at word `scalar 0` that it runs, and waits for word `scalar 1`.
fn held() -> Callable {
    Callable::any("held", |task| {
        let words = task_words(task, 0);
        words[task.scalar::<u64>(0)? as usize].fetch_add(1, Ordering::SeqCst);
        let wait_at = task.scalar::<u64>(1)? as usize;
        hold(task, || get(&words[wait_at]) != 0)
    })
}

/// Counts at word 0 and waits until as many as `scalar 0` have.
fn meet() -> Callable {
    Callable::any("meet", |task| {
        let words = task_words(task, 0);
        let all = task.scalar::<u64>(0)?;
        words[0].fetch_add(1, Ordering::SeqCst);
        hold(task, || get(&words[0]) >= all)
    })
}

/// Claims HOST-065.
#[test]
fn readers_and_writers_of_common_bytes_are_ordered() {
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![held()]);
    let (buffer, all) = shared(&mut host, 4);
    let (_data, data) = shared(&mut host, 4);
    let seen = Argument::NoDependency(&all);
    type Make = for<'a> fn(&'a Tensor) -> Argument<'a>;
    let kinds: [(Make, Make, bool); 4] = [
        (|data| Argument::OutputExisting(data), |data| Argument::Input(data), true),
        (|data| Argument::OutputExisting(data), |data| Argument::OutputExisting(data), true),
        (|data| Argument::Input(data), |data| Argument::OutputExisting(data), true),
        (|data| Argument::OutputExisting(data), |data| Argument::NoDependency(data), false),
    ];
    for (first, second, ordered) in kinds {
        words(&buffer).iter().for_each(|word| set(word, 0));
        host.run(|run| {
            let arguments = [seen, first(&data)];
            run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[0u64.into(), 1u64.into()]))?;
            let arguments = [seen, second(&data)];
            run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[2u64.into(), 1u64.into()]))?;
            wait_until("the first", || get(&words(&buffer)[0]) == 1);
            if ordered {
                std::thread::sleep(Duration::from_millis(10));
                assert_eq!(get(&words(&buffer)[2]), 0, "the second waits");
            } else {
                wait_until("the second", || get(&words(&buffer)[2]) == 1);
            }
            set(&words(&buffer)[1], 1);
            Ok(())
        })
        .expect("it runs");
        assert_eq!(get(&words(&buffer)[2]), 1);
    }
}

/// Claims HOST-066.
#[test]
fn tiles_and_columns_are_independent() {
    let (mut host, ids) = host(HostRuntime::builder().subs(4), vec![meet()]);
    let (buffer, all) = shared(&mut host, 1);
    let matrix = host.buffer(16 * 16 * 8).expect("a buffer");
    let matrix = (matrix.tensor(&[16, 16], DataType::U64).expect("a tensor"), matrix);
    let seen = Argument::NoDependency(&all);
    let tiles: Vec<Tensor> =
        [[0, 0], [0, 8], [8, 0], [8, 8]].iter().map(|at| matrix.0.view(&[8, 8], at).expect("a tile")).collect();
    let columns: Vec<Tensor> =
        [(0, 4), (8, 12)].iter().map(|&(from, to)| matrix.0.slice(1, from, to, 1).expect("columns")).collect();
    for set_of in [tiles, columns] {
        set(&words(&buffer)[0], 0);
        host.run(|run| {
            for view in &set_of {
                let arguments = [seen, Argument::OutputExisting(view)];
                run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[(set_of.len() as u64).into()]))?;
            }
            Ok(())
        })
        .expect("they meet");
    }
}

/// Claims HOST-067 and HOST-068.
#[test]
fn what_overlaps_waits_for_exactly_those_whose_bytes_it_needs() {
    let (mut host, ids) = host(HostRuntime::builder().subs(6), vec![held()]);
    let (buffer, all) = shared(&mut host, 16);
    let matrix = host.buffer(16 * 16 * 8).expect("a buffer");
    let whole = matrix.tensor(&[16, 16], DataType::U64).expect("a tensor");
    let bytes = host.buffer(128).expect("a buffer");
    let line = bytes.tensor(&[128], DataType::U8).expect("a tensor");
    let seen = Argument::NoDependency(&all);
    let corners = [[0u32, 0], [0, 8], [8, 0], [8, 8]];
    let part = |from: u32, to: u32| line.slice(0, from, to, 1).expect("bytes");

    // Each writer of a tile is let go alone; the reader in the middle, and that of everything, wait for the last.
    for middle in [true, false] {
        let reader = if middle { whole.view(&[8, 8], &[4, 4]).expect("a tile") } else { whole };
        words(&buffer).iter().for_each(|word| set(word, 0));
        host.run(|run| {
            for (at, corner) in corners.iter().enumerate() {
                let tile = whole.view(&[8, 8], corner)?;
                let arguments = [seen, Argument::OutputExisting(&tile)];
                let scalars = [Scalar::from(at as u64), Scalar::from(4 + at as u64)];
                run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&scalars))?;
            }
            let arguments = [seen, Argument::Input(&reader)];
            run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[8u64.into(), 4u64.into()]))?;
            for at in 0..4 {
                wait_until("a writer", || get(&words(&buffer)[at]) == 1);
                std::thread::sleep(Duration::from_millis(5));
                assert_eq!(get(&words(&buffer)[8]), 0, "the reader waits for writer {at}");
                set(&words(&buffer)[4 + at], 1);
            }
            Ok(())
        })
        .expect("it runs");
    }

    // Of ranges of bytes, the neighbours meet in no byte and the overlapping one does.
    words(&buffer).iter().for_each(|word| set(word, 0));
    host.run(|run| {
        let mut submit = |view: &Tensor, at: u64, wait: u64, reads: bool| -> Result<(), prewire::SubmitError> {
            let arguments = [seen, if reads { Argument::Input(view) } else { Argument::OutputExisting(view) }];
            run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[at.into(), wait.into()]))?;
            Ok(())
        };
        submit(&part(0, 64), 0, 8, false)?;
        submit(&part(64, 128), 1, 9, false)?;
        wait_until("neighbours", || get(&words(&buffer)[0]) == 1 && get(&words(&buffer)[1]) == 1);
        set(&words(&buffer)[9], 1);
        submit(&part(63, 128), 2, 10, true)?;
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(get(&words(&buffer)[2]), 0, "[63, 128) meets [0, 64)");
        set(&words(&buffer)[8], 1);
        wait_until("the overlapping one", || get(&words(&buffer)[2]) == 1);
        set(&words(&buffer)[10], 1);
        Ok(())
    })
    .expect("it runs");

    // A later writer of a part takes over that part only.
    words(&buffer).iter().for_each(|word| set(word, 0));
    host.run(|run| {
        let mut submit = |view: &Tensor, at: u64, wait: u64, reads: bool| -> Result<(), prewire::SubmitError> {
            let arguments = [seen, if reads { Argument::Input(view) } else { Argument::OutputExisting(view) }];
            run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[at.into(), wait.into()]))?;
            Ok(())
        };
        set(&words(&buffer)[15], 1);
        submit(&part(0, 128), 0, 8, false)?;
        submit(&part(0, 64), 1, 9, false)?;
        submit(&part(0, 64), 2, 15, true)?;
        submit(&part(64, 128), 3, 15, true)?;
        wait_until("the first writer", || get(&words(&buffer)[0]) == 1);
        set(&words(&buffer)[8], 1);
        // The reader of the rest needs the first only, which has ended; the other waits for the second, which is held.
        wait_until("the reader of the rest", || get(&words(&buffer)[3]) == 1);
        wait_until("the second writer", || get(&words(&buffer)[1]) == 1);
        assert_eq!(get(&words(&buffer)[2]), 0);
        set(&words(&buffer)[9], 1);
        submit(&part(0, 128), 4, 12, false)?;
        submit(&part(0, 64), 5, 15, true)?;
        wait_until("the third writer", || get(&words(&buffer)[4]) == 1);
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!((get(&words(&buffer)[2]), get(&words(&buffer)[5])), (1, 0));
        set(&words(&buffer)[12], 1);
        Ok(())
    })
    .expect("it runs");
    assert_eq!(get(&words(&buffer)[5]), 1);
}

/// Claims HOST-020.
#[test]
fn the_largest_task_reaches_a_worker_whole() {
    let check = Callable::sub("check", |task| {
        let wrong = |what: String| Err(KernelError::new(1, what));
        if (task.tensors().len(), task.scalar_count()) != (256, 128) {
            return wrong(format!("{} tensors and {} scalars", task.tensors().len(), task.scalar_count()));
        }
        for at in 0..128 {
            if task.scalar_bits(at)? != (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) {
                return wrong(format!("scalar {at}"));
            }
        }
        for at in 0..256 {
            let tensor = &task.tensors()[at];
            if tensor.shape() != [1, 2, 1, 1, 2] || tensor.strides() != [7, 3, 5, 6, 2] {
                return wrong(format!("tensor {at}: {tensor:?}"));
            }
            if task.input::<u16>(at)?.get(&[0, 1, 0, 0, 1]) != at as u16 * 2 + 5 {
                return wrong(format!("the bytes of tensor {at}"));
            }
        }
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(1), vec![check]);
    let values: Vec<u16> = (0..600).collect();
    let buffer = host.buffer_from(&values).expect("a buffer");
    let line = buffer.tensor(&[600], DataType::U16).expect("a tensor");
    let layout = TensorLayout::strided(&[1, 2, 1, 1, 2], &[7, 3, 5, 6, 2], DataType::U16).expect("a layout");
    let tensors: Vec<Tensor> = (0..257).map(|at| line.with_layout(2 * at, layout).expect("a view")).collect();
    let arguments: Vec<Argument<'_>> = tensors.iter().map(Argument::Input).collect();
    let scalars: Vec<Scalar> = (0..129u64).map(|at| Scalar(at.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    host.run(|run| {
        run.submit(&host::sub(ids[0]).arguments(&arguments[..256]).scalars(&scalars[..128]))?;
        Ok(())
    })
    .expect("it arrives whole");
    for (tensors, numbers, count, limit) in [(257, 0, "257", "256"), (0, 129, "129", "128")] {
        let error = host
            .run(|run| {
                let task = host::sub(ids[0]).arguments(&arguments[..tensors]).scalars(&scalars[..numbers]);
                run.submit(&task)?;
                Ok(())
            })
            .expect_err("too many");
        let text = error.to_string();
        assert!(text.contains(count) && text.contains(limit), "{text}");
        assert!(error.report.rings.iter().all(|ring| (ring.window.0, ring.heap_bytes.0, ring.edges.0) == (0, 0, 0)));
    }
}

/// Claims HOST-034.
#[test]
fn the_callback_reads_and_writes_data_in_its_place() {
    let write = Callable::sub("write", |task| {
        let value = task.scalar::<u64>(2)?;
        if value == 13 {
            return Err(KernelError::new(13, "unlucky"));
        }
        let words = task_words(task, 0);
        words[task.scalar::<u64>(0)? as usize].fetch_add(1, Ordering::SeqCst);
        let wait_at = task.scalar::<u64>(1)? as usize;
        hold(task, || get(&words[wait_at]) != 0)?;
        set(&task_words(task, 1)[0], value);
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(3), vec![write, held()]);
    let (buffer, all) = shared(&mut host, 8);
    let (_data, data) = shared(&mut host, 1);
    let seen = Argument::NoDependency(&all);
    set(&words(&buffer)[7], 1);
    host.run(|run| {
        // Unrelated and held for as long as it takes.
        run.submit(&host::sub(ids[1]).arguments(&[seen]).scalars(&[0u64.into(), 1u64.into()]))?;
        let arguments = [seen, Argument::OutputExisting(&data)];
        run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[2u64.into(), 7u64.into(), 55u64.into()]))?;
        assert_eq!(run.get::<u64>(&data, &[0])?, 55, "the writer was waited for, the other was not");
        // A reader is held: a write of the callback's waits for it.
        let arguments = [seen, Argument::Input(&data)];
        run.submit(&host::sub(ids[1]).arguments(&arguments).scalars(&[3u64.into(), 4u64.into()]))?;
        wait_until("the reader", || get(&words(&buffer)[3]) == 1);
        let words = words(&buffer);
        std::thread::scope(|scope| -> Result<(), prewire::SubmitError> {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                set(&words[5], 1);
                set(&words[4], 1);
            });
            run.set::<u64>(&data, &[0], 66)?;
            assert_eq!(get(&words[5]), 1, "the reader was waited for");
            Ok(())
        })?;
        assert_eq!(run.get::<u64>(&data, &[0])?, 66);
        set(&words[1], 1);
        Ok(())
    })
    .expect("it runs");
    let error = host
        .run(|run| {
            let arguments = [seen, Argument::OutputExisting(&data)];
            run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&[2u64.into(), 7u64.into(), 13u64.into()]))?;
            let error = run.get::<u64>(&data, &[0]).expect_err("its writer fails");
            assert!(error.to_string().contains("unlucky"), "{error}");
            Ok(())
        })
        .expect_err("a task fails");
    assert!(error.to_string().contains("unlucky"));
}
