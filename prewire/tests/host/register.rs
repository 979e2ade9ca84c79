//! Callables: closures, C functions and library symbols, before and after the start.

use crate::data::shared;
use crate::rig::{get, hold, host, set, task_words, wait_until, words};
use prewire::host::{self, Callable, HostRuntime};
use prewire::{Argument, CKernel, CoreKind, DataType, KernelCall, Placement};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

unsafe extern "C" fn add_seven(call: *mut KernelCall) -> i32 {
    // SAFETY: the runtime calls it with what its type says.
    let call = unsafe { &*call };
    // SAFETY: the test submits one tensor of one word.
    let tensor = unsafe { &*call.tensors };
    let word = tensor.first_byte() as *mut u64;
    // SAFETY: the tensor is the task's to write.
    unsafe { *word += 7 };
    0
}

/// A library whose function adds `value` to the first word of its first tensor.
fn library(name: &str, value: u64) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("prewire-host-library-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let source = folder.join("source.c");
    let text = format!(
        "#include <stdint.h>\n#include <stddef.h>\n\
         struct tensor {{ uint64_t address; uint64_t start; }};\n\
         struct call {{ const struct tensor *tensors; size_t tensor_count; }};\n\
         int bump(struct call *call) {{ ((uint64_t *)call->tensors[0].address)[call->tensors[0].start] += {value}; return 0; }}\n"
    );
    std::fs::write(&source, text).expect("the folder can be written");
    let library = folder.join("libbump.so");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(made.expect("a compiler").success());
    library
}

fn bump(library: &std::path::Path) -> Callable {
    // SAFETY: the library was compiled above and keeps the contract.
    unsafe { Callable::symbol("bump", None, library, "bump") }
}

/// Claims HOST-011.
#[test]
fn a_closure_comes_with_what_it_captured_as_of_the_fork() {
    let numbers: Vec<u64> = (1..=1000).collect();
    let counter = Arc::new(AtomicU64::new(5));
    let counted = counter.clone();
    let sum = Callable::sub("sum", move |task| {
        let mut result = task.output::<u64>(0)?;
        let words = result.as_mut_slice();
        words[0] = numbers.iter().sum();
        words[1] = if task.scalar::<u64>(0)? == 1 {
            counted.fetch_add(1, Ordering::SeqCst) + 1
        } else {
            counted.load(Ordering::SeqCst)
        };
        Ok(())
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(3), vec![sum]);
    let buffer = host.buffer(16).expect("a buffer");
    let result = buffer.tensor(&[2], DataType::U64).expect("a tensor");
    let cores: Vec<_> = (0..3).map(|id| host.worker(CoreKind::Vector, id).expect("a worker")).collect();
    let call = |host: &mut HostRuntime, worker: usize, count: u64| {
        host.run(|run| {
            let arguments = [Argument::OutputExisting(&result)];
            let task = host::sub(ids[0]).arguments(&arguments).placement(Placement::Core(cores[worker]));
            run.submit(&task.scalars(&[count.into()]))?;
            Ok(())
        })
        .expect("it runs");
        host.read::<u64>(&buffer).expect("no run is on")
    };
    for worker in 0..3 {
        assert_eq!(call(&mut host, worker, 0), [500_500, 5]);
    }
    for round in 1..=5 {
        assert_eq!(call(&mut host, 0, 1)[1], 5 + round);
    }
    assert_eq!((call(&mut host, 1, 0)[1], counter.load(Ordering::SeqCst)), (5, 5));
}

/// Claims HOST-012.
#[test]
fn functions_of_the_program_are_registered_before_the_start() {
    let function: CKernel = add_seven;
    // SAFETY: the function keeps the contract.
    let callable = unsafe { Callable::c("add seven", None, function, std::ptr::null_mut()) };
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![callable.clone()]);
    let (buffer, word) = shared(&mut host, 1);
    host.run(|run| {
        for _ in 0..3 {
            run.submit(&host::sub(ids[0]).arguments(&[Argument::InOut(&word)]))?;
        }
        Ok(())
    })
    .expect("it runs");
    assert_eq!(get(&words(&buffer)[0]), 21);
    for late in [callable, Callable::sub("late", |_| Ok(()))] {
        let error = host.register(late).expect_err("too late").to_string();
        assert!(error.contains("before start") && error.contains("library symbol"), "{error}");
    }
    let library = library("ids", 1);
    let id = host.register(bump(&library)).expect("a symbol may come late");
    assert_eq!(id.kernel().0, ids[0].kernel().0 + 1, "the refusals used up no id");
}

/// The use of HOST-013: a late symbol runs on every worker, on a busy one as its next task.
#[test]
fn a_late_symbol_runs_on_every_worker() {
    let held = Callable::sub("held", |task| {
        let words = task_words(task, 0);
        set(&words[0], 1);
        hold(task, || get(&words[1]) != 0)
    });
    let (mut host, ids) = host(HostRuntime::builder().subs(3), vec![held]);
    let library = library("late", 5);
    let (buffer, all) = shared(&mut host, 2);
    let (data, word) = shared(&mut host, 1);
    let cores: Vec<_> = (0..3).map(|id| host.worker(CoreKind::Vector, id).expect("a worker")).collect();
    let id = host.register(bump(&library)).expect("it loads everywhere");
    host.run(|run| {
        let seen = [Argument::NoDependency(&all)];
        run.submit(&host::sub(ids[0]).arguments(&seen).placement(Placement::Core(cores[1])))?;
        wait_until("worker 1 to be busy", || get(&words(&buffer)[0]) == 1);
        let arguments = [Argument::InOut(&word)];
        for &core in &cores {
            run.submit(&host::sub(id).arguments(&arguments).placement(Placement::Core(core)))?;
        }
        set(&words(&buffer)[1], 1);
        Ok(())
    })
    .expect("it runs");
    assert_eq!(get(&words(&data)[0]), 15);
}

/// The refusals of HOST-015 that need no change between two loads.
#[test]
fn what_cannot_be_loaded_is_refused_by_name_and_uses_no_id() {
    let (mut host, ids) = host(HostRuntime::builder().subs(2), vec![Callable::sub("nothing", |_| Ok(()))]);
    let good = library("good", 2);
    // SAFETY: neither is ever called.
    let missing = [
        unsafe { Callable::symbol("gone", None, "/no/such/library.so".as_ref(), "bump") },
        // SAFETY: as above.
        unsafe { Callable::symbol("no symbol", None, &good, "no_such_function") },
    ];
    for (callable, parts) in
        missing.into_iter().zip([["/no/such/library.so", "bump"], ["libbump.so", "no_such_function"]])
    {
        let error = host.register(callable).expect_err("it is not there").to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let id = host.register(bump(&good)).expect("it loads");
    assert_eq!(id.kernel().0, ids[0].kernel().0 + 1);
    assert!(host.unregister(id).expect("it is there"));
    let pids: Vec<i32> = host.workers().iter().filter_map(|worker| worker.pid).collect();
    let still =
        |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains("libbump"));
    assert!(pids.iter().all(|&pid| !still(pid)), "the library is gone from the workers");
    let error = host
        .run(|run| {
            run.submit(&host::sub(id))?;
            Ok(())
        })
        .expect_err("it is not registered any more");
    assert!(error.to_string().contains("unregistered"), "{error}");
}
