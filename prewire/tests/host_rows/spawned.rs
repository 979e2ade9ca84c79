//! Workers that are programs of their own: what they have, what they cannot have, and that both sides mean the same by everything.

use crate::gates::symbol;
use crate::rig::{host, wait_until};
use prewire::host::{self, Callable, CallableId, HostBuilder, HostError, HostRuntime, HostStartError};
use prewire::{Argument, CoreKind, DataType, NewTensor, Scalar, Tensor};
use prewire_platform_host::wire::{LAYOUT_HASH, VERSION};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program that is a worker and nothing else. Of the variables that name programs, one with a hyphen in its name does not come through every shell.
pub(crate) fn worker() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_prewire")).with_file_name("prewire-worker")
}

/// Compiles C into a file of its own.
fn compile(name: &str, source: &str, options: &[&str]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("prewire-spawned-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (from, to) = (folder.join(format!("{name}.c")), folder.join(name));
    std::fs::write(&from, source).expect("the folder can be written");
    let made = Command::new("cc").args(options).arg("-o").arg(&to).arg(&from).status();
    assert!(made.expect("a compiler").success());
    to
}

/// Functions that say where their tensors lie, add, and double.
pub(crate) fn library() -> PathBuf {
    let source = r#"
#include <stddef.h>
#include <stdint.h>
struct tensor { uint64_t address, start; uint32_t layout[12]; };
struct call { const struct tensor *tensors; size_t tensor_count; const uint64_t *scalars; size_t scalar_count; };
static uint64_t *word(struct call *call, int at) { return (uint64_t *)call->tensors[at].address + call->tensors[at].start; }
int adds(struct call *call) {
    uint64_t *seen = word(call, 2);
    word(call, 1)[0] = word(call, 0)[0] * 3 + call->scalars[0];
    for (int at = 0; at < 3; at++) seen[at] = (uint64_t)word(call, at);
    return 0;
}
int doubles(struct call *call) {
    uint64_t *words = word(call, 0);
    for (uint64_t at = 0; at < call->scalars[0]; at++) words[at] = 2 * words[at] + 1;
    return 0;
}
"#;
    compile("libspawned.so", source, &["-shared", "-fPIC", "-O1"])
}

fn spawned_subs(count: u32) -> HostBuilder {
    HostRuntime::builder().subs(count).spawn(CoreKind::Vector, worker())
}

unsafe extern "C" fn nothing(_: *mut prewire::KernelCall) -> i32 {
    0
}

/// Functions of this program, as what they are called.
fn functions() -> [Callable; 2] {
    // SAFETY: the function touches nothing.
    let function = unsafe { Callable::c("raw function", None, nothing, std::ptr::null_mut()) };
    [Callable::sub("closure", |_| Ok(())), function]
}

/// The bytes that twenty tasks over the heap and a buffer leave, and where the tensors lay here and there.
fn twenty_tasks(builder: HostBuilder) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
    let (mut host, ids) = host(builder, vec![symbol("adds", &library(), "adds")]);
    let (results, seen) = (host.buffer(8 * 20).expect("a buffer"), host.buffer(8 * 3 * 20).expect("a buffer"));
    let value = host.buffer_from(&[5u64]).expect("a buffer");
    let first = value.tensor(&[1], DataType::U64).expect("a tensor");
    let at =
        |buffer: &prewire::Buffer, offset, count| buffer.tensor_at(offset, &[count], DataType::U64).expect("within");
    let mut here = Vec::new();
    host.run(|run| {
        run.scope(|run| {
            let mut before = first;
            for task in 0..20u64 {
                let scalars: [Scalar; 1] = [task.into()];
                let (places, result) = (at(&seen, 24 * task, 3), at(&results, 8 * task, 1));
                // Every other task leaves its result in the heap, the others in the buffer.
                let to = if task % 2 == 0 {
                    Argument::Output(NewTensor::new(&[1], DataType::U64))
                } else {
                    Argument::OutputExisting(&result)
                };
                let arguments = [Argument::Input(&before), to, Argument::OutputExisting(&places)];
                let outputs = run.submit(&host::sub(ids[0]).arguments(&arguments).scalars(&scalars))?.outputs;
                let after = outputs.first().copied().unwrap_or(result);
                here.extend([before.first_byte(), after.first_byte(), places.first_byte()]);
                before = after;
            }
            Ok(())
        })
    })
    .expect("it runs");
    let bytes = host.read::<u64>(&results).expect("no run is on");
    let there = host.read::<u64>(&seen).expect("no run is on");
    host.close().expect("an orderly end");
    (bytes, here, there)
}

/// Mappings that move all that the worker maps later, by odd distances.
fn elsewhere(_: u32) -> Result<(), String> {
    for pages in [1usize, 3, 7, 37, 301, 7001, 100_003] {
        let memory = prewire_platform_host::shared::SharedMemory::create("elsewhere", pages * 4096);
        std::mem::forget(memory.map_err(|error| error.to_string())?);
    }
    Ok(())
}

/// Claims HOST-027.
#[test]
fn a_graph_leaves_the_same_bytes_wherever_its_memory_is_mapped() {
    let forked = HostRuntime::builder().subs(1).initialise(CoreKind::Vector, elsewhere);
    let expected: Vec<u64> = (0..20u64)
        .scan(5u64, |value, task| {
            *value = value.wrapping_mul(3).wrapping_add(task);
            Some(if task % 2 == 0 { 0 } else { *value })
        })
        .collect();
    for builder in [forked, spawned_subs(1)] {
        let (bytes, here, there) = twenty_tasks(builder);
        assert_eq!(bytes, expected);
        assert_eq!(here.len(), there.len());
        for (at, (here, there)) in here.iter().zip(&there).enumerate() {
            assert_ne!(here, there, "tensor {} of task {} lies at the same address on both sides", at % 3, at / 3);
        }
    }
}

/// Claims HOST-014, together with the graph above for what a library symbol does.
#[test]
fn a_spawned_worker_has_no_function_of_this_program() {
    let refused = |name: &str, error: &str| {
        assert!(error.contains(name) && error.contains("sub worker 0") && error.contains("library symbol"), "{error}");
    };
    for callable in functions() {
        let name = callable.name().to_owned();
        let error = spawned_subs(2).register(callable.clone()).expect_err("it does not have it");
        assert!(matches!(error, HostError::NotASymbol { .. }), "{error}");
        refused(&name, &error.to_string());
        // Whichever is said first.
        let mut builder = HostRuntime::builder().subs(2);
        builder.register(callable).expect("a forked worker would have it");
        let error = builder.spawn(CoreKind::Vector, worker()).start().expect_err("it does not have it");
        refused(&name, &error.to_string());
    }
    let (mut host, ids) = host(spawned_subs(2), vec![symbol("doubles", &library(), "doubles")]);
    for callable in functions() {
        let name = callable.name().to_owned();
        refused(&name, &host.register(callable).expect_err("it does not have it").to_string());
    }
    let late = host.register(symbol("late", &library(), "doubles")).expect("it loads");
    let spawned = [ids[0], late].map(|id| doubled(&mut host, id));
    let (mut forked, ids) = self::host(HostRuntime::builder().subs(2), vec![symbol("doubles", &library(), "doubles")]);
    let late = forked.register(symbol("late", &library(), "doubles")).expect("it loads");
    assert_eq!(spawned, [ids[0], late].map(|id| doubled(&mut forked, id)));
    host.close().expect("an orderly end");
    forked.close().expect("an orderly end");
    let given = spawned_subs(1).initialise(CoreKind::Vector, |_| Ok(())).start().expect_err("it does not have it");
    assert!(matches!(given, HostStartError::SpawnedInitialise { .. }) && given.to_string().contains("sub worker 0"));
}

/// What doubling leaves of a thousand numbers.
fn doubled(host: &mut HostRuntime, id: CallableId) -> Vec<u64> {
    let buffer = host.buffer_from(&(0..1000).collect::<Vec<u64>>()).expect("a buffer");
    let all = buffer.tensor(&[1000], DataType::U64).expect("a tensor");
    let halves = [0, 500].map(|at| all.slice(0, at, at + 500, 1).expect("within"));
    host.run(|run| {
        halves.iter().try_for_each(|half| {
            run.submit(&host::sub(id).arguments(&[Argument::InOut(half)]).scalars(&[500u64.into()])).map(drop)
        })
    })
    .expect("it runs");
    host.read::<u64>(&buffer).expect("no run is on")
}

/// A program that answers the greeting with a version and a layout, and stays. It keeps what was handed over, or has no room for it.
fn impostor(name: &str, version: u64, layout: u64, keep: usize) -> PathBuf {
    let source = r#"
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
int main(void) {
    char greeting[4096], descriptors[256];
    struct iovec bytes = { greeting, sizeof greeting };
    struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = descriptors, .msg_controllen = KEEP };
    if (recvmsg(0, &message, 0) <= 0) return 1;
    uint64_t ready[3] = { 1, VERSION, LAYOUT };
    if (send(0, ready, sizeof ready, 0) < 0) return 2;
    for (;;) pause();
}
"#;
    let options = [format!("-DVERSION={version}ULL"), format!("-DLAYOUT={layout}ULL"), format!("-DKEEP={keep}")];
    compile(name, source, &[&options[0], &options[1], &options[2]])
}

/// Processes of this program that run a file.
fn running(program: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    processes.filter(|entry| std::fs::read_link(entry.path().join("exe")).is_ok_and(|file| file == program)).count()
}

/// Claims HOST-095.
#[test]
fn a_worker_of_another_build_is_rejected_before_it_is_given_anything() {
    let ours = [u64::from(VERSION), LAYOUT_HASH];
    for theirs in [[77, LAYOUT_HASH], [VERSION.into(), 0xABCD_EF01_2345_6789]] {
        let program = impostor("impostor", theirs[0], theirs[1], 256);
        let builder = HostRuntime::builder().subs(1).spawn(CoreKind::Vector, &program);
        let error = builder.start().expect_err("it means something else by a frame").to_string();
        assert!(error.contains("sub worker 0"), "{error}");
        let [its, ours] = [theirs, ours].map(|[version, layout]| (version, format!("{layout:016x}")));
        assert!(error.contains(&format!("built for protocol version {} and layout {}", its.0, its.1)), "{error}");
        assert!(error.contains(&format!("the runtime for {} and {}", ours.0, ours.1)), "{error}");
        assert_eq!(running(&program), 0, "it was ended");
    }

    // The other way round: the worker says what it was built with, and touches nothing that it was handed.
    let (runtime, its_end) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a pair");
    let mut process = Command::new(worker()).stdin(its_end).spawn().expect("it starts");
    let greeting: Vec<u8> =
        [u64::from_le_bytes(*b"PWWORKER"), 77, 78].iter().flat_map(|number| number.to_le_bytes()).collect();
    send(&runtime, &greeting, SendFlags::NOSIGNAL).expect("it listens");
    let mut answer = [0u8; 64];
    let (length, _) = recv(&runtime, &mut answer, RecvFlags::empty()).expect("it answers");
    let expected: Vec<u8> = [1, ours[0], ours[1]].iter().flat_map(|number| number.to_le_bytes()).collect();
    assert_eq!(&answer[..length], expected);
    assert_eq!(process.wait().expect("it ends").code(), Some(109));
}

#[test]
fn a_program_that_is_no_worker_fails_the_start_by_its_name() {
    for (program, what) in [("/no/such/program", "/no/such/program"), ("/bin/true", "status 0")] {
        let builder = HostRuntime::builder().subs(1).spawn(CoreKind::Vector, program);
        let error = builder.start().expect_err("it is no worker").to_string();
        assert!(error.contains("sub worker 0") && error.contains(what), "{error}");
    }
    // One that means the same, but lives without showing it.
    let program = impostor("deaf", VERSION.into(), LAYOUT_HASH, 0);
    let error = HostRuntime::builder().subs(1).spawn(CoreKind::Vector, &program).start().expect_err("it hung up");
    assert!(error.to_string().contains("sub worker 0") && error.to_string().contains("signal 9"), "{error}");
    assert_eq!(running(&program), 0, "it was ended");
    let by_hand = Command::new(worker()).stdin(std::process::Stdio::null()).output().expect("it starts");
    assert_eq!(by_hand.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&by_hand.stderr).contains("which a runtime starts"));
}

const MEBIBYTE: u64 = 1 << 20;

/// Claims HOST-118.
#[test]
fn a_late_buffer_is_shared_with_forked_and_spawned_workers() {
    let builder = HostRuntime::builder().next_level(1).subs(1).spawn(CoreKind::Vector, worker());
    let (mut host, ids) = host(builder, vec![symbol("doubles", &library(), "doubles")]);
    let half = MEBIBYTE as u32 / 16;
    // From the second round on both have run tasks before the buffer is there.
    for round in 0..3u64 {
        let buffer = host.buffer(MEBIBYTE).expect("a buffer");
        let values: Vec<u64> = (0..MEBIBYTE / 8).map(|at| at + round).collect();
        host.write(&buffer, &values).expect("no run is on");
        let all = buffer.tensor(&[2 * half], DataType::U64).expect("a tensor");
        let parts: Vec<Tensor> =
            (0..2).map(|at| all.slice(0, at * half, (at + 1) * half, 1).expect("within")).collect();
        let scalars: [Scalar; 1] = [u64::from(half).into()];
        let handle = host.submit(|run| {
            run.submit(&host::next_level(ids[0]).arguments(&[Argument::InOut(&parts[0])]).scalars(&scalars))?;
            run.submit(&host::sub(ids[0]).arguments(&[Argument::InOut(&parts[1])]).scalars(&scalars)).map(drop)
        });
        handle.expect("it is accepted").wait().expect("it runs");
        let left = host.read::<u64>(&buffer).expect("no run is on");
        assert!(left.iter().zip(&values).all(|(left, value)| *left == 2 * value + 1));
    }
    host.close().expect("an orderly end");
}

/// A spawned worker that dies fails its task by name, and its replacement knows all that the others do, however much that is.
#[test]
fn a_replacement_learns_of_everything_that_there_is() {
    for builder in [spawned_subs(1), HostRuntime::builder().subs(1)] {
        let (mut host, ids) = host(builder.restarts(1), vec![symbol("doubles", &library(), "doubles")]);
        let late = host.register(symbol("late", &library(), "doubles")).expect("it loads");
        let many: Vec<_> = (0..600).map(|_| host.buffer(8).expect("a buffer")).collect();
        let pid = host.workers()[0].pid.expect("a process");
        let process = rustix::process::Pid::from_raw(pid).expect("a number");
        rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it is there");
        wait_until("the replacement", || {
            let worker = &host.workers()[0];
            worker.death.is_none() && worker.pid != Some(pid)
        });
        let words: Vec<Tensor> = many.iter().map(|one| one.tensor(&[1], DataType::U64).expect("a tensor")).collect();
        host.run(|run| {
            words.iter().zip([ids[0], late].iter().cycle()).try_for_each(|(word, &id)| {
                run.submit(&host::sub(id).arguments(&[Argument::InOut(word)]).scalars(&[1u64.into()])).map(drop)
            })
        })
        .expect("it runs");
        assert!(many.iter().all(|one| host.read::<u64>(one).expect("no run is on") == [1]));
        host.close().expect("an orderly end");
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "it was waited for");
    }
}
