//! The engines: the caller alone, the choice of engine, no CPU while waiting, kernels of every make.

mod common;

use common::{Calls, chain, everywhere, increment, small};
use prewire::{
    Argument, CKernel, Chip, DataType, Engine, ErrorCode, Kernel, KernelCall, KernelError, NewTensor, RunError,
    Runtime, Task,
};
use std::os::raw::c_void;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Claims CHIP-161.
#[test]
fn one_thread_can_drive_everything() {
    let mut runtime =
        small().single_thread(true).ring_task_window(8).no_progress(ms(200)).watchdog(ms(5000)).build().unwrap();
    let caller = std::thread::current().id();
    let kernel = runtime
        .register(Kernel::vector("on the caller's thread", move |kernel| {
            if std::thread::current().id() != caller {
                return Err(KernelError::new(1, "another thread"));
            }
            kernel.output::<u32>(0)?.as_mut_slice()[0] += 1;
            Ok(())
        }))
        .unwrap();
    let slow = runtime
        .register(Kernel::vector("slow", |_| {
            std::thread::sleep(ms(700));
            Ok(())
        }))
        .unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    runtime
        .run(|run| {
            for at in 1..=10_000u32 {
                run.scope(|run| {
                    let output = Argument::Output(NewTensor::new(&[1], DataType::U32));
                    run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(&cell), output])).map(|_| ())
                })?;
                if at % 1000 == 0 {
                    assert_eq!(run.get::<u32>(&cell, &[0])?, at);
                }
            }
            // A kernel of more than three no-progress budgets, with the window full behind it.
            for _ in 0..20 {
                let output = Argument::Output(NewTensor::new(&[1], DataType::U32));
                run.scope(|run| {
                    run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(&cell), output])).map(|_| ())
                })?;
            }
            run.submit(&Task::vector(slow).arguments(&[Argument::InOut(&cell)]))?;
            for _ in 0..20 {
                run.scope(|run| run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(&cell)])).map(|_| ()))?;
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [10_040]);
}

/// Claims CHIP-162.
#[test]
fn the_engine_fits_the_graph() {
    let meets = || Kernel::any("meets", |kernel| kernel.barrier());
    let mut runtime = Runtime::builder().clusters(4).build().unwrap();
    let (gang, plain) = (runtime.register(meets()).unwrap(), runtime.register(increment()).unwrap());
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    runtime
        .run(|run| {
            for at in 0..600 {
                if at == 499 {
                    run.submit(&Task::cluster(Some(gang), Some(gang), Some(gang)).blocks(4).sync_start())?;
                }
                run.submit(&Task::vector(plain).arguments(&[Argument::InOut(&cell)]))?;
            }
            Ok(())
        })
        .unwrap();

    let mut runtime = Runtime::builder().clusters(4).engine(Engine::InlineOnly).build().unwrap();
    let (gang, plain) = (runtime.register(meets()).unwrap(), runtime.register(increment()).unwrap());
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    for task in [Task::vector(gang).blocks(4).sync_start(), Task::cluster(Some(gang), Some(gang), None)] {
        let failed = runtime.run(|run| run.submit(&task).map(|_| ())).unwrap_err();
        assert!(failed.to_string().contains("threads"), "it says which engine to choose: {failed}");
    }
    chain(&mut runtime, plain, &cell, 100).unwrap();
}

fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // Linux counts these in hundredths of a second.
    Duration::from_millis(10 * ticks)
}

/// Claims CHIP-164 (its first half; the wake-ups are asserted below).
///
/// Processor time is counted in ticks of 10 ms, so each wait is long enough for 2 % of it to be several ticks.
#[test]
fn waiting_costs_no_processor_time() {
    let wait = ms(1500);
    let mut runtime = Runtime::builder().build().unwrap();
    let sleeps = runtime
        .register(Kernel::vector("sleeps", move |_| {
            std::thread::sleep(wait);
            Ok(())
        }))
        .unwrap();
    let mut used = Vec::new();
    let mut measure = |what: &str, body: &mut dyn FnMut()| {
        let before = processor_time();
        body();
        used.push((what.to_owned(), processor_time() - before));
    };
    measure("no run", &mut || std::thread::sleep(wait));
    measure("a sleeping task", &mut || {
        runtime.run(|run| run.submit(&Task::vector(sleeps)).map(|_| ())).unwrap();
    });
    measure("a sleeping orchestration", &mut || {
        runtime
            .run(|_| {
                std::thread::sleep(wait);
                Ok(())
            })
            .unwrap();
    });
    for (what, used) in used {
        assert!(used <= wait.mul_f64(0.02) + ms(10), "{what}: {used:?} of {wait:?}");
    }
}

/// Claims CHIP-164 (its second half: no wake-up is lost with a policy that sleeps at once).
#[test]
fn parking_at_once_loses_no_wake_up() {
    let policy = prewire::WaitingPolicy::PARK_AT_ONCE;
    let mut runtime = Runtime::builder().clusters(6).threads(4).waiting(policy).ring_task_window(4).build().unwrap();
    let kernel = runtime.register(increment()).unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    // Every task may cost several wake-ups here, so the million of the row is spread over the ways a wake-up can be lost.
    let count = 20_000;
    let begun = Instant::now();
    chain(&mut runtime, kernel, &cell, count).unwrap();
    assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [count as u32]);
    // A lost wake-up would show as sleeps of the orchestrator's ten milliseconds, or of an hour.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

unsafe extern "C" fn add_one(call: *mut KernelCall) -> i32 {
    // SAFETY: the runtime hands a valid call.
    let call = unsafe { &mut *call };
    // SAFETY: the task has one tensor.
    let tensor = unsafe { &*call.tensors };
    let cells = tensor.first_byte() as *mut u32;
    for at in 0..tensor.layout().elements() as usize {
        // SAFETY: the tensor is contiguous and its memory is this task's.
        let cell = unsafe { cells.add(at) };
        // SAFETY: as above.
        unsafe { *cell += 1 };
    }
    0
}

/// A shared library with two kernels, compiled by the system's C compiler.
fn library() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kernel-library");
    std::fs::create_dir_all(&folder).unwrap();
    let source = folder.join("kernels.c");
    std::fs::write(
        &source,
        r#"
#include <stdint.h>
#include <stddef.h>
#include <string.h>
/* The layout of a tensor argument: address, start (elements), shape, strides, ... in 64 bytes. */
struct tensor { uint64_t address, start; uint32_t shape[5], strides[5]; uint8_t rest[8]; };
struct call { const struct tensor *tensors; size_t tensor_count; const uint64_t *scalars; size_t scalar_count;
              uint32_t block_index, block_count, part; void *user; char *text; size_t text_bytes; };
int add_one(struct call *call) {
    uint32_t *cells = (uint32_t *)(uintptr_t)call->tensors[0].address + call->tensors[0].start;
    for (uint32_t at = 0; at < call->tensors[0].shape[0]; at++) cells[at] += 1;
    return 0;
}
int fails(struct call *call) {
    strncpy(call->text, "from C", call->text_bytes);
    return 9;
}
"#,
    )
    .unwrap();
    let library = folder.join("libkernels.so");
    let status =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).status().unwrap();
    assert!(status.success());
    library
}

/// Claims CHIP-166.
#[test]
fn kernels_may_be_closures_c_functions_and_symbols() {
    let library = library();
    for (chip, engine) in everywhere() {
        let mut runtime = small().platform(chip).clusters(4).engine(engine).build().unwrap();
        let function: CKernel = add_one;
        let closure = runtime.register(increment()).unwrap();
        // SAFETY: the function does what its call describes.
        let c = unsafe { Kernel::c("add one in C", None, function, std::ptr::null_mut::<c_void>()) };
        let c = runtime.register(c).unwrap();
        // SAFETY: the library was compiled above from source that keeps the contract.
        let symbol = unsafe { Kernel::symbol("add one from a library", None, &library, "add_one") }.unwrap();
        let symbol = runtime.register(symbol).unwrap();
        // SAFETY: as above.
        let fails = unsafe { Kernel::symbol("fails", None, &library, "fails") }.unwrap();
        let fails = runtime.register(fails).unwrap();
        let buffer = runtime.buffer(12).unwrap();
        let cells = buffer.tensor(&[3], DataType::U32).unwrap();
        runtime
            .run(|run| {
                for kernel in [closure, c, symbol] {
                    run.submit(&Task::vector(kernel).arguments(&[Argument::InOut(&cells)]))?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [3; 3]);

        let failed = runtime.run(|run| run.submit(&Task::vector(fails)).map(|_| ())).unwrap_err();
        let RunError::KernelFailed { first, .. } = &*failed.error else { panic!("{failed}") };
        assert_eq!((first.code, first.text.as_str(), first.kernel_name.as_str()), (9, "from C", "fails"));

        // SAFETY: nothing is loaded or called.
        let missing = unsafe { Kernel::symbol("x", None, &library, "no_such_kernel") }.unwrap_err().to_string();
        assert!(missing.contains("no_such_kernel") && missing.contains("libkernels.so"), "{missing}");
        // SAFETY: as above.
        let missing =
            unsafe { Kernel::symbol("x", None, "/no/such/library.so".as_ref(), "k") }.unwrap_err().to_string();
        assert!(missing.contains("/no/such/library.so"), "{missing}");
    }
}

/// Claims CHIP-151 and CHIP-155 (thread counts; the gangs of the latter are asserted with the gangs).
#[test]
fn thread_counts_are_checked() {
    for (chip, name, most) in [(Chip::A2a3, "a2a3", 4), (Chip::A5, "a5", 5)] {
        for threads in std::iter::once(0).chain(2..=most) {
            let mut runtime = Runtime::builder().platform(chip).threads(threads).build().unwrap();
            let calls = Calls::default();
            let kernel = runtime.register(calls.kernel("counts")).unwrap();
            let clusters = runtime.chip().clusters as i64;
            let mix = Task::cluster(Some(kernel), Some(kernel), Some(kernel));
            runtime.run(|run| run.submit(&mix.blocks(clusters)).map(|_| ())).unwrap();
            assert_eq!(calls.count(), 3 * clusters as u64, "{threads} threads drive all clusters");
        }
        for wrong in [1, most + 1, -1] {
            let error = Runtime::builder().platform(chip).threads(wrong).build().unwrap_err();
            let text = error.to_string();
            assert_eq!(error.code(), Some(ErrorCode::InvalidArguments));
            assert!(
                text.contains(&wrong.to_string()) && text.contains(&format!("2 to {most}")) && text.contains(name),
                "{text}"
            );
        }
    }
}
