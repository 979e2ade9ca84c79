//! A stream of tasks allocates nothing once it runs, and its memory stays as it was.

use prewire::{Argument, DataType, Engine, Kernel, KernelId, NewTensor, Run, Runtime, SubmitError, Task, Tensor};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts every call of any thread.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
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

/// Tasks before the count begins: everything has reached its size by then.
const WARM_UP: usize = 10_000;

struct Stream {
    runtime: Runtime,
    own: KernelId,
    join: KernelId,
    cells: Vec<Tensor>,
    buffer: prewire::Buffer,
}

impl Stream {
    fn new(engine: Engine) -> Self {
        let builder = Runtime::builder().engine(engine).clusters(4).threads(3).ring_task_window(256).ring_heap(1 << 20);
        let mut runtime = builder.build().expect("the settings are valid");
        let own = Kernel::vector("own", |context| {
            context.output::<u32>(0)?.as_mut_slice()[0] += 1;
            Ok(())
        });
        let join = Kernel::cube("join", |context| {
            let sum = context.input::<u32>(0)?.as_slice()[0].wrapping_add(context.input::<u32>(1)?.as_slice()[0]);
            context.output::<u32>(2)?.as_mut_slice()[0] = sum;
            Ok(())
        });
        let (own, join) =
            (runtime.register(own).expect("there is room"), runtime.register(join).expect("there is room"));
        let buffer = runtime.buffer(64 * 16).expect("there is memory");
        let whole = buffer.tensor(&[16, 16], DataType::U32).expect("it fits");
        let cells = (0..16).map(|row| whole.view(&[1, 1], &[row, 0]).expect("it is within")).collect();
        // Every core busy at once, as more may be later by chance: a chip whose cores are threads starts them as they are needed.
        let rest = Kernel::any("rest", |_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            Ok(())
        });
        let rest = runtime.register(rest).expect("there is room");
        let all_busy = runtime.run(|run| {
            for core in 0..3 * run.clusters() {
                let task = if core % 3 == 0 { Task::cube(rest) } else { Task::vector(rest) };
                run.submit(&task)?;
            }
            Ok(())
        });
        all_busy.expect("nothing fails");
        wait_until_threads_sleep();
        Stream { runtime, own, join, cells, buffer }
    }

    /// One round of ten tasks: independent cells, a chain through two of them, and outputs that die with an inner scope.
    fn round(run: &mut Run<'_>, own: KernelId, join: KernelId, cells: &[Tensor]) -> Result<(), SubmitError> {
        for cell in &cells[..6] {
            run.submit(&Task::vector(own).arguments(&[Argument::InOut(cell)]))?;
        }
        run.scope(|run| {
            let new = || Argument::Output(NewTensor::new(&[1, 1], DataType::U32));
            let first = run.submit(&Task::cube(join).arguments(&[
                Argument::Input(&cells[0]),
                Argument::Input(&cells[1]),
                new(),
            ]))?;
            let first = first.outputs[0];
            let second =
                run.submit(&Task::cube(join).arguments(&[Argument::Input(&first), Argument::Input(&cells[2]), new()]))?;
            let second = second.outputs[0];
            let last = [Argument::Input(&first), Argument::Input(&second), Argument::OutputExisting(&cells[7])];
            run.submit(&Task::cube(join).arguments(&last))?;
            run.submit(&Task::vector(own).arguments(&[Argument::InOut(&cells[8])]))?;
            Ok(())
        })
    }

    /// Runs so many tasks; returns the allocator's calls and the growth of resident memory between the end of the warm-up and the last submit.
    fn measure(&mut self, tasks: usize) -> (u64, i64) {
        let Stream { runtime, own, join, cells, .. } = self;
        let (mut calls, mut resident) = (0, 0);
        let run = runtime.run(|run| {
            for done in (0..tasks).step_by(10) {
                if done == WARM_UP {
                    resident = resident_bytes();
                    calls = CALLS.load(Ordering::Relaxed);
                }
                Stream::round(run, *own, *join, cells)?;
            }
            calls = CALLS.load(Ordering::Relaxed) - calls;
            resident = resident_bytes() - resident;
            Ok(())
        });
        let report = run.expect("nothing fails");
        assert_eq!(report.tasks, tasks as u64);
        assert!(report.rings.iter().all(|ring| ring.window.0 <= 256), "{:?}", report.rings);
        let cells = self.runtime.read::<u32>(&self.buffer).expect("the run is over");
        assert_eq!(cells[8 * 16] as usize, tasks / 10, "a task did not run");
        (calls, resident)
    }
}

/// A thread allocates while it starts, and on a busy machine it starts late: waits until every other thread of the process has got to where it sleeps.
fn wait_until_threads_sleep() {
    let own = std::process::id().to_string();
    let sleeps = |thread: std::io::Result<std::fs::DirEntry>| {
        let thread = thread.expect("threads can be listed");
        // The state follows the name, which is in parentheses. A thread that has gone meanwhile has no file.
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
        let runs_this = std::thread::current().name().is_some_and(|name| stat.contains(&name[..name.len().min(15)]));
        runs_this || thread.file_name().to_str() == Some(&own) || matches!(state, None | Some('S'))
    };
    let mut asleep = 0;
    while asleep < 3 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        let all = std::fs::read_dir("/proc/self/task").expect("Linux has it").all(sleeps);
        asleep = if all { asleep + 1 } else { 0 };
    }
}

/// What the process has in memory.
fn resident_bytes() -> i64 {
    // A fixed buffer, so that looking allocates nothing that stays.
    let mut text = [0; 128];
    let mut file = std::fs::File::open("/proc/self/statm").expect("Linux has it");
    let length = std::io::Read::read(&mut file, &mut text).expect("it can be read");
    let pages =
        std::str::from_utf8(&text[..length]).expect("it is text").split(' ').nth(1).expect("it has a second field");
    pages.parse::<i64>().expect("it is a number") * 4096
}

/// Both engines in one test, as tests of one process would count each other's calls.
///
/// Claims CHIP-186: between task 10 000 and task 20 000 of a steady stream nothing is allocated or given back by any thread of the runtime, the
/// submitting one among them. Likewise over a million tasks through windows of 256, in flat memory; the benchmark `submit-cost` does ten million.
#[test]
fn a_steady_stream_allocates_nothing() {
    for engine in [Engine::Inline, Engine::InlineOnly, Engine::Threads] {
        let mut stream = Stream::new(engine);
        let (calls, _) = stream.measure(20_000);
        assert_eq!(calls, 0, "{engine:?}: calls of the allocator between task 10 000 and task 20 000");
    }
    let (calls, grown) = Stream::new(Engine::Inline).measure(1_000_000);
    assert_eq!(calls, 0, "calls of the allocator in a million tasks");
    assert!(grown < 1 << 20, "resident memory grew by {grown} bytes in a million tasks");
}
