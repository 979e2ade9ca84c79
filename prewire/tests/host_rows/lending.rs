//! Memory that is handed down through the levels.

use crate::rig::{get, hold, host, set, task_words, wait_until, words};
use prewire::host::{self, Callable, CallableId, HostBuilder, HostRuntime};
use prewire::{Argument, Buffer, DataType, KernelContext, KernelError};
use prewire_platform_host::worker::given;

/// Elements of the buffer that goes down.
const WORDS: u32 = 64;
/// Where a level writes the file that its memory is.
const LEVEL_3: usize = 8;
const SUB: usize = 16;

/// The file that is mapped around an address of this process, by device and number, and the address's place in it: what the memory is, whoever looks.
fn file_at(address: u64) -> [u64; 3] {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    let number = |text: &str| u64::from_str_radix(text, 16).expect("a number");
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (from, to) = fields.next().and_then(|range| range.split_once('-')).expect("a range");
        if (number(from)..number(to)).contains(&address) {
            let offset = number(fields.nth(1).expect("an offset"));
            let (major, minor) = fields.next().and_then(|device| device.split_once(':')).expect("a device");
            let inode = fields.next().expect("a number").parse().expect("a number");
            return [number(major) << 32 | number(minor), inode, offset + address - number(from)];
        }
    }
    panic!("{address:#x} is not mapped")
}

/// Notes what a task's memory is, in the memory itself: the file, and the number that the worker knows it by.
fn note(task: &KernelContext<'_>, at: usize) {
    let words = task_words(task, 0);
    let address = words.as_ptr() as u64;
    for (word, value) in words[at..].iter().zip(file_at(address)) {
        set(word, value);
    }
    set(&words[at + 3], given(address).expect("the worker was given it").id);
}

/// The level below: a sub worker that notes what its memory is, says that it has, and waits until it may end.
fn lower(_: u32) -> (HostBuilder, CallableId) {
    let mut builder = HostRuntime::builder().subs(1);
    let id = builder.register(Callable::sub("at the bottom", |task| {
        let words = task_words(task, 0);
        note(task, SUB);
        set(&words[1], 1);
        hold(task, || get(&words[2]) != 0)?;
        set(&words[3], get(&words[3]) + 1);
        Ok(())
    }));
    (builder, id.expect("a place"))
}

/// Hands its task's memory down, and copies nothing.
fn hands_down() -> Callable {
    Callable::level("hands down", |level, task| {
        note(task, LEVEL_3);
        let (lower, &mut bottom) = level.host::<CallableId>()?;
        let below = lower.lend(task)?;
        let twice = lower.lend(task).expect_err("it is lent").to_string();
        if !twice.contains("lent to this level already") {
            return Err(KernelError::new(7, twice));
        }
        lower.run(|run| run.submit(&host::sub(bottom).arguments(&[Argument::InOut(below.tensor(0))])).map(drop))?;
        Ok(())
    })
}

fn goes_down(builder: HostBuilder) {
    let (mut top, ids) = host(builder.level(4).next_level(1).hosts(lower), vec![hands_down()]);
    // The second buffer comes to be when the level below has run already; the view begins behind its first byte.
    for round in 0..3u64 {
        let buffer: Buffer = top.buffer(u64::from(WORDS + 8) * 8).expect("a buffer");
        let all = buffer.tensor_at(64, &[WORDS], DataType::U64).expect("a tensor");
        let handle = top
            .submit(|run| run.submit(&host::next_level(ids[0]).arguments(&[Argument::InOut(&all)])).map(drop))
            .expect("it is accepted");
        let words = &words(&buffer)[8..];
        wait_until("the sub worker's word", || get(&words[1]) == 1);
        // The task at the bottom still runs, so nobody can have copied its words up.
        assert!(!handle.is_over());
        let seen = |at: usize| -> Vec<u64> { words[at..at + 4].iter().map(get).collect() };
        let own = file_at(words.as_ptr() as u64);
        assert_eq!(seen(LEVEL_3)[..3], own, "level 3 has the file of level 4, round {round}");
        assert_eq!(seen(SUB)[..3], own, "the sub worker has it, too");
        assert_eq!(seen(LEVEL_3)[3], seen(SUB)[3], "and both know it by one number");
        // Both ways: what level 4 writes now is what the sub worker adds to.
        set(&words[3], 40 + round);
        set(&words[2], 1);
        handle.wait().expect("it runs");
        assert_eq!(get(&words[3]), 41 + round);
    }
    top.close().expect("an orderly end");
}

/// Claims HOST-116.
#[test]
fn a_buffer_is_the_same_memory_at_every_level() {
    goes_down(HostRuntime::builder());
    goes_down(HostRuntime::builder().threads());
}

/// What a task's level has submitted is over before the task is, although nobody waits for it there; and its memory is no memory of the level any more.
#[test]
fn a_task_ends_behind_the_runs_that_use_its_memory() {
    let forgets = Callable::level("forgets", |level, task| {
        let (lower, &mut bottom) = level.host::<CallableId>()?;
        let below = lower.lend(task)?;
        let tensor = *below.tensor(0);
        lower.submit(|run| run.submit(&host::sub(bottom).arguments(&[Argument::InOut(&tensor)])).map(drop))?;
        Ok(())
    });
    let (mut top, ids) = host(HostRuntime::builder().level(4).next_level(1).hosts(lower), vec![forgets]);
    let buffer = top.buffer(u64::from(WORDS) * 8).expect("a buffer");
    let all = buffer.tensor(&[WORDS], DataType::U64).expect("a tensor");
    for round in 1..=3 {
        top.write(&buffer, &[0u64; WORDS as usize]).expect("no run is on");
        set(&words(&buffer)[3], round);
        let handle = top
            .submit(|run| run.submit(&host::next_level(ids[0]).arguments(&[Argument::InOut(&all)])).map(drop))
            .expect("it is accepted");
        wait_until("the sub worker's word", || get(&words(&buffer)[1]) == 1);
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(!handle.is_over(), "its memory is in use below");
        set(&words(&buffer)[2], 1);
        handle.wait().expect("it runs");
        assert_eq!(get(&words(&buffer)[3]), round + 1);
    }
    top.close().expect("an orderly end");
}

/// Memory that no level above has given is refused by name.
#[test]
fn memory_of_nobody_cannot_be_handed_down() {
    let builder = HostRuntime::builder().subs(1);
    let task_of_a_chip = |task: &KernelContext<'_>| -> Result<(), KernelError> {
        let mut host =
            HostRuntime::builder().subs(1).threads().start().map_err(|error| KernelError::new(8, error.to_string()))?;
        let error = host.lend(task).expect_err("nobody has given it");
        Err(error.into())
    };
    drop(builder);
    let mut chip = prewire::Runtime::builder().clusters(1).build().expect("a chip");
    let kernel = chip.register(prewire::Kernel::vector("lends", task_of_a_chip)).expect("a place");
    let buffer = chip.buffer(8).expect("a buffer");
    let word = buffer.tensor(&[1], DataType::U64).expect("a tensor");
    let failed =
        chip.run(|run| run.submit(&prewire::Task::vector(kernel).arguments(&[Argument::InOut(&word)])).map(drop));
    let text = failed.expect_err("it fails").to_string();
    assert!(text.contains("tensor 0") && text.contains("given no such memory"), "{text}");
}
