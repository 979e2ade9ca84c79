//! What arrives at a worker, where it lies there, and what taking it in costs.

use crate::rig::{get, host, task_words, words};
use crate::stage::on_both;
use prewire::host::{self, Callable, HostBuilder, HostRuntime};
use prewire::{Argument, CoreKind, DataType, KernelError, Member, NewTensor, Scalar, Tensor};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts every call of any thread of this process.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    // Without it the large tables of a runtime would be cleared page by page.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Claims HOST-022: in the worker's process nothing is allocated or freed.
#[test]
fn a_worker_takes_tasks_in_without_allocating() {
    // Sums what it reads, and leaves the number of its process's allocations.
    let looks = Callable::sub("looks", |task| {
        let sum = (0..15).map(|at| task_words(task, at)[0].load(Ordering::Relaxed)).sum::<u64>();
        let last = task_words(task, 15);
        last[0].fetch_add(sum, Ordering::Relaxed);
        last[1].store(CALLS.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(1), vec![looks]);
    let values: Vec<u64> = (0..17).collect();
    let buffer = host.buffer_from(&values).expect("a buffer");
    let mut tensors: Vec<Tensor> =
        (0..15).map(|at| buffer.tensor_at(8 * at, &[1], DataType::U64).expect("a tensor")).collect();
    tensors.push(buffer.tensor_at(8 * 15, &[2], DataType::U64).expect("a tensor"));
    let mut arguments: Vec<Argument<'_>> = tensors[..15].iter().map(Argument::Input).collect();
    arguments.push(Argument::InOut(&tensors[15]));
    let mut after = |count: u64| {
        let report =
            host.run(|run| (0..count).try_for_each(|_| run.submit(&host::sub(ids[0]).arguments(&arguments)).map(drop)));
        assert_eq!(report.expect("it runs").completed, count);
        get(&words(&buffer)[16])
    };
    let (warm, hot) = (after(100), after(10_000));
    assert_eq!(hot - warm, 0, "allocations of the worker over 10 000 tasks");
    assert_eq!(get(&words(&buffer)[15]), 15 + 10_100 * (0..15).sum::<u64>());
}

fn members_own_arguments(builder: HostBuilder) {
    let checks = Callable::sub("checks", |task| {
        let number = task.block_index();
        let check = |right: bool, what: &str| if right { Ok(()) } else { Err(KernelError::new(1, what)) };
        check(task.block_count() == 4, "four members")?;
        check(task.tensors().len() == 2 + number as usize, "as many tensors as it was given")?;
        check(task.scalar_count() == 3 * number as usize, "as many scalars as it was given")?;
        for at in 0..task.scalar_count() {
            check(task.scalar_bits(at)? == u64::from(number) << 40 | at as u64, "its own scalars")?;
        }
        for at in 1..task.tensors().len() {
            let tensor = &task.tensors()[at];
            check(tensor.shape() == [1 + number, at as u32], "its own shapes")?;
            check(task.input::<u32>(at)?.get(&[0, 0]) == 100 * number + at as u32, "its own bytes")?;
        }
        task.output::<u32>(0)?.as_mut_slice().fill(1000 + number);
        Ok(())
    });
    let (mut host, ids) = host(builder.subs(4), vec![checks]);
    // Row i of the buffer has the values of member i: its inputs begin at the columns of their numbers.
    let values: Vec<u32> = (0..4 * 100).collect();
    let buffer = host.buffer_from(&values).expect("a buffer");
    let results = host.buffer(16).expect("a buffer");
    let own: Vec<Vec<Tensor>> = (0..4u32)
        .map(|number| {
            let result = results.tensor_at(4 * u64::from(number), &[1], DataType::U32).expect("a tensor");
            let input = |at: u32| {
                let first = 4 * u64::from(100 * number + at);
                buffer.tensor_at(first, &[1 + number, at], DataType::U32).expect("a tensor")
            };
            std::iter::once(result).chain((1..2 + number).map(input)).collect()
        })
        .collect();
    let arguments: Vec<Vec<Argument<'_>>> = own
        .iter()
        .map(|own| {
            let (result, inputs) = own.split_first().expect("a result");
            std::iter::once(Argument::OutputExisting(result)).chain(inputs.iter().map(Argument::Input)).collect()
        })
        .collect();
    let scalars: Vec<Vec<Scalar>> =
        (0..4u64).map(|number| (0..3 * number).map(|at| Scalar(number << 40 | at)).collect()).collect();
    let members: Vec<Member<'_>> =
        arguments.iter().zip(&scalars).map(|(own, scalars)| Member::new(own).scalars(scalars)).collect();
    for _ in 0..20 {
        host.run(|run| run.submit(&host::sub(ids[0]).group(&members)).map(drop)).expect("each has its own");
    }
    assert_eq!(host.read::<u32>(&results).expect("no run is on"), [1000, 1001, 1002, 1003]);
}

/// Claims HOST-023 together with the engine's test of groups, which sees that a member's arguments lie in the stored block of its task.
#[test]
fn each_member_receives_exactly_its_own_arguments() {
    on_both(members_own_arguments);
}

/// The runtime's heap and a created buffer lie at other addresses in a forked worker, and twenty tasks over both
/// leave the bytes that they should.
#[test]
fn frames_name_memory_by_buffer_and_offset() {
    let adds = Callable::sub("adds", |task| {
        let from = task.input::<u64>(0)?.get(&[0]);
        let addend = task.scalar::<u64>(0)?;
        task.output::<u64>(1)?.as_mut_slice()[0] = from + addend;
        task.output::<u64>(2)?.as_mut_slice().copy_from_slice(&[
            task.tensors()[0].first_byte(),
            task.tensors()[1].first_byte(),
            task.tensors()[2].first_byte(),
        ]);
        Ok(())
    });
    // What is mapped before the worker is READY moves all that it maps later, by an odd distance and however small it is.
    let elsewhere = HostRuntime::builder().subs(1).initialise(CoreKind::Vector, |_| {
        for pages in [1u64, 3, 7, 37, 301, 7001, 100_003] {
            let memory = prewire_platform_host::shared::SharedMemory::create("elsewhere", pages as usize * 4096);
            std::mem::forget(memory.map_err(|error| error.to_string())?);
        }
        Ok(())
    });
    let (mut host, ids) = host(elsewhere, vec![adds]);
    let buffer = host.buffer(8 * 3 * 20).expect("a buffer");
    let value = host.buffer_from(&[5u64]).expect("a buffer");
    let first = value.tensor(&[1], DataType::U64).expect("a tensor");
    let seen: Vec<Tensor> =
        (0..20).map(|at| buffer.tensor_at(24 * at, &[3], DataType::U64).expect("a tensor")).collect();
    let mut here = Vec::new();
    host.run(|run| {
        run.scope(|run| {
            let mut before = first;
            for (task, seen) in (0u64..).zip(&seen) {
                let scalars: [Scalar; 1] = [task.into()];
                let arguments = [
                    Argument::Input(&before),
                    Argument::Output(NewTensor::new(&[1], DataType::U64)),
                    Argument::OutputExisting(seen),
                ];
                let output = run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&scalars))?.outputs[0];
                here.extend([before.first_byte(), output.first_byte(), seen.first_byte()]);
                before = output;
            }
            assert_eq!(run.get::<u64>(&before, &[0])?, 5 + (0..20).sum::<u64>());
            Ok(())
        })
    })
    .expect("it runs");
    let there = host.read::<u64>(&buffer).expect("no run is on");
    assert_eq!(there.len(), here.len());
    for (at, (there, here)) in there.iter().zip(&here).enumerate() {
        assert_ne!(there, here, "tensor {} of task {} lies at the same address on both sides", at % 3, at / 3);
    }
}
