//! Releasing buffers while runs are in flight and afterwards.

use crate::rig::{get, hold, host, set, task_words, wait_until, words};
use crate::stage::on_both;
use prewire::host::{self, Callable, HostBuilder, HostRuntime};
use prewire::{Argument, BufferError, CoreKind, DataType, RunError};
use std::sync::atomic::Ordering;

fn held() -> Callable {
    Callable::sub("held", |task| {
        let words = task_words(task, 0);
        words[0].fetch_add(1, Ordering::SeqCst);
        hold(task, || get(&words[1]) != 0)
    })
}

fn releases(builder: HostBuilder) {
    let (mut host, ids) = host(builder.subs(1), vec![held()]);
    let buffer = host.buffer(16).expect("a buffer");
    let all = buffer.tensor(&[2], DataType::U64).expect("a tensor");
    let named = [Argument::InOut(&all)];
    let handle = host.submit(|run| run.submit(&host::sub(ids[0]).arguments(&named)).map(drop)).expect("it is accepted");
    wait_until("the start of the task", || get(&words(&buffer)[0]) == 1);
    let error = host.release(&buffer).expect_err("a run names it");
    assert!(matches!(error, BufferError::Named { bytes: 16, .. }), "{error}");
    let text = error.to_string();
    let address = format!("{:#x}", buffer.address());
    assert!(["run 1", "buffer of 16 bytes", &address].iter().all(|part| text.contains(part)), "{text}");
    set(&words(&buffer)[1], 1);
    handle.wait().expect("nothing was taken from it");
    assert_eq!(host.read::<u64>(&buffer).expect("it is still there"), [1, 1]);
    host.release(&buffer).expect("nobody names it");
    host.release(&buffer).expect("a second release is harmless");
    let error = host.read::<u64>(&buffer).expect_err("it is gone");
    assert!(matches!(error, BufferError::Released { bytes: 16 }), "{error}");
    assert!(matches!(host.write(&buffer, &[1u64, 2]), Err(BufferError::Released { .. })));
    let again = buffer.tensor(&[2], DataType::U64).expect("a shape");
    for tensor in [&all, &again] {
        let failed = host.run(|run| run.submit(&host::sub(ids[0]).arguments(&[Argument::InOut(tensor)])).map(drop));
        let failed = failed.expect_err("its memory is gone");
        assert!(matches!(*failed.error, RunError::Refused(_)), "{failed}");
        assert!(failed.to_string().contains("released") && failed.to_string().contains("argument 0"), "{failed}");
    }
    // The runtime and its worker go on, and dropping what was released gives nothing back twice.
    let other = host.buffer(16).expect("a buffer");
    drop(buffer);
    set(&words(&other)[1], 1);
    let all = other.tensor(&[2], DataType::U64).expect("a tensor");
    host.run(|run| run.submit(&host::sub(ids[0]).arguments(&[Argument::InOut(&all)])).map(drop)).expect("it runs");
    assert_eq!(host.read::<u64>(&other).expect("no run is on"), [1, 1]);
    host.close().expect("an orderly end");
}

/// Claims HOST-120.
#[test]
fn a_buffer_that_a_run_names_cannot_be_released() {
    on_both(releases);
}

/// A release reaches the workers: they unmap the memory, while the runtime's own handle is still there.
#[test]
fn a_released_buffer_is_unmapped_everywhere() {
    let (mut host, ids) = host(HostRuntime::builder().subs(1), vec![held()]);
    let pid = host.workers()[0].pid.expect("a process");
    let mapped = |host: &HostRuntime| {
        // Its answer comes behind everything that it was told before.
        host.query(CoreKind::Vector, 0).expect("it answers");
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it is alive");
        maps.lines().filter(|line| line.contains("prewire-buffer")).count()
    };
    let before = mapped(&host);
    let buffer = host.buffer(16).expect("a buffer");
    assert_eq!(mapped(&host), before + 1);
    host.release(&buffer).expect("nobody names it");
    assert_eq!(mapped(&host), before);
    assert!(host.callables().get(ids[0].kernel()).is_some());
}
