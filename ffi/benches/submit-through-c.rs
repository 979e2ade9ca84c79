//! What a submit through the shared library costs above the same submit from Rust.
//!
//! Both submit the same independent tasks with two tensors and a scalar to a runtime of their own, in turn, in one process: the Rust side is linked in, the C side
//! goes through `libprewire_ffi.so` as a C program does. No scheduler has a thread, so that nothing but the submits is measured. The median of many rounds is
//! printed; the goal is 15 ns between the two.

use libloading::{Library, Symbol};
use prewire::{Argument, DataType, Kernel, Runtime, Scalar, Task, Tensor};
use prewire_ffi::config::{PREWIRE_SINGLE_THREAD, prewire_config};
use prewire_ffi::kernel::prewire_kernel_call;
use prewire_ffi::registration::prewire_kernel;
use prewire_ffi::run::prewire_run;
use prewire_ffi::runtime::prewire_runtime;
use prewire_ffi::status::prewire_status;
use prewire_ffi::task::{PREWIRE_ANY_CORE, PREWIRE_NO_KERNEL, prewire_argument, prewire_task};
use prewire_ffi::tensor::prewire_tensor;
use std::ffi::c_void;
use std::path::PathBuf;
use std::time::Instant;

const TILES: u32 = 64;
/// Few enough for the rings as they are from the beginning, so that no submit waits.
const TASKS: u32 = 1024;
const ROUNDS: usize = 801;
const TILE: u32 = 16;

type Submit = unsafe extern "C" fn(*mut prewire_run, *const prewire_task, *mut u64) -> prewire_status;

/// Where cargo put the shared library that belongs to this bench.
fn library() -> PathBuf {
    let bench = std::env::current_exe().expect("a program has a path");
    bench.parent().expect("it lies in a folder").join("libprewire_ffi.so")
}

/// One round of Rust: nanoseconds per submit.
fn rust_round(runtime: &mut Runtime, kernel: prewire::KernelId, tensors: &[(Tensor, Tensor)]) -> f64 {
    let mut took = 0.0;
    let ran = runtime.run(|run| {
        let begun = Instant::now();
        for number in 0..TASKS {
            let (from, to) = &tensors[(number % TILES) as usize];
            let arguments = [Argument::Input(from), Argument::OutputExisting(to)];
            let scalars = [Scalar(u64::from(number))];
            run.submit(&Task::vector(kernel).arguments(&arguments).scalars(&scalars))?;
        }
        took = begun.elapsed().as_nanos() as f64 / f64::from(TASKS);
        Ok(())
    });
    ran.expect("every kernel succeeds");
    took
}

/// What the orchestration through C works with.
struct Through {
    submit: Submit,
    kernel: u32,
    tensors: Vec<(prewire_tensor, prewire_tensor)>,
    took: f64,
}

unsafe extern "C" fn orchestrate(run: *mut prewire_run, context: *mut c_void) -> u32 {
    // SAFETY: the context is the one given below, which nobody else uses meanwhile.
    let through = unsafe { &mut *context.cast::<Through>() };
    let begun = Instant::now();
    for number in 0..TASKS {
        let (from, to) = &through.tensors[(number % TILES) as usize];
        let argument = |kind, tensor: &prewire_tensor| prewire_argument {
            kind,
            reserved: 0,
            tensor,
            allocation: std::ptr::null(),
            allocated: std::ptr::null_mut(),
        };
        let arguments = [argument(0, from), argument(3, to)];
        let scalars = [u64::from(number)];
        let task = prewire_task {
            size: size_of::<prewire_task>(),
            kind: 2,
            flags: 0,
            kernels: [through.kernel, PREWIRE_NO_KERNEL, PREWIRE_NO_KERNEL],
            core: PREWIRE_ANY_CORE,
            blocks: 1,
            arguments: arguments.as_ptr(),
            argument_count: 2,
            scalars: scalars.as_ptr(),
            scalar_count: 1,
            dependencies: std::ptr::null(),
            dependency_count: 0,
            predicate: std::ptr::null(),
            budget_ns: 0,
        };
        // SAFETY: the run is the one of this orchestration, and the task's lists live until the call returns.
        if unsafe { (through.submit)(run, &raw const task, std::ptr::null_mut()) } != prewire_status::Ok {
            return 1;
        }
    }
    through.took = begun.elapsed().as_nanos() as f64 / f64::from(TASKS);
    0
}

unsafe extern "C" fn nothing(_: *mut prewire_kernel_call) -> i32 {
    0
}

fn symbol<'a, T>(library: &'a Library, name: &str) -> Symbol<'a, T> {
    // SAFETY: the types below are those of this very library's functions.
    unsafe { library.get(name.as_bytes()) }.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A runtime on the other side of the library, and the context of its runs.
fn c_side(library: &Library) -> (*mut prewire_runtime, Through) {
    let init = symbol::<unsafe extern "C" fn(*mut prewire_config) -> prewire_status>(library, "prewire_config_init");
    let create = symbol::<unsafe extern "C" fn(*const prewire_config, *mut *mut prewire_runtime) -> prewire_status>(
        library,
        "prewire_runtime_create",
    );
    let register = symbol::<
        unsafe extern "C" fn(*mut prewire_runtime, *const prewire_kernel, *mut u32) -> prewire_status,
    >(library, "prewire_runtime_register");
    let buffer = symbol::<unsafe extern "C" fn(*mut prewire_runtime, u64, *mut *mut c_void) -> prewire_status>(
        library,
        "prewire_buffer_create",
    );
    let tensor = symbol::<
        unsafe extern "C" fn(*mut c_void, u64, u32, *const u32, usize, *mut prewire_tensor) -> prewire_status,
    >(library, "prewire_buffer_tensor");
    let mut config = std::mem::MaybeUninit::<prewire_config>::uninit();
    // SAFETY: it may be written.
    assert_eq!(unsafe { init(config.as_mut_ptr()) }, prewire_status::Ok);
    // SAFETY: it was written.
    let mut config = unsafe { config.assume_init() };
    config.flags = PREWIRE_SINGLE_THREAD;
    let mut runtime = std::ptr::null_mut();
    // SAFETY: both point to what they should.
    assert_eq!(unsafe { create(&raw const config, &raw mut runtime) }, prewire_status::Ok);
    let kernel = prewire_kernel {
        size: size_of::<prewire_kernel>(),
        name: c"nothing".as_ptr(),
        core_kind: 2,
        flags: 0,
        function: Some(nothing),
        context: std::ptr::null_mut(),
        lasts_ns: 0,
        id: PREWIRE_NO_KERNEL,
        reserved: 0,
    };
    let mut id = 0;
    // SAFETY: as above.
    assert_eq!(unsafe { register(runtime, &raw const kernel, &raw mut id) }, prewire_status::Ok);
    let mut buffers = [std::ptr::null_mut(); 2];
    for place in &mut buffers {
        // SAFETY: as above.
        assert_eq!(unsafe { buffer(runtime, u64::from(TILES * TILE * 4), place) }, prewire_status::Ok);
    }
    let view = |buffer: *mut c_void, tile: u32| {
        let mut made = std::mem::MaybeUninit::<prewire_tensor>::uninit();
        let (offset, shape) = (u64::from(tile * TILE * 4), TILE);
        // SAFETY: as above.
        let status = unsafe { tensor(buffer, offset, 0, &raw const shape, 1, made.as_mut_ptr()) };
        assert_eq!(status, prewire_status::Ok);
        // SAFETY: it was written.
        unsafe { made.assume_init() }
    };
    let tensors = (0..TILES).map(|tile| (view(buffers[0], tile), view(buffers[1], tile))).collect();
    let submit = *symbol::<Submit>(library, "prewire_run_submit");
    (runtime, Through { submit, kernel: id, tensors, took: 0.0 })
}

/// The median, and the value that a tenth of the rounds stay below: what a machine gives that is busy with nothing else.
fn median_and_tenth(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[values.len() / 10])
}

fn main() {
    let path = library();
    // SAFETY: it is our own library, whose initialisers do nothing.
    let library = unsafe { Library::new(&path) }.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let run = symbol::<
        unsafe extern "C" fn(
            *mut prewire_runtime,
            unsafe extern "C" fn(*mut prewire_run, *mut c_void) -> u32,
            *mut c_void,
            *mut *mut c_void,
        ) -> prewire_status,
    >(&library, "prewire_runtime_run");
    let (handle, mut through) = c_side(&library);
    let mut runtime = Runtime::builder().single_thread(true).build().expect("the defaults are good");
    let kernel = runtime.register(Kernel::vector("nothing", |_| Ok(()))).expect("there is room");
    let bytes = u64::from(TILES * TILE * 4);
    let (from, to) = (runtime.buffer(bytes).expect("a little"), runtime.buffer(bytes).expect("a little"));
    let view = |buffer: &prewire::Buffer, tile: u32| {
        buffer.tensor_at(u64::from(tile * TILE * 4), &[TILE], DataType::F32).expect("it fits")
    };
    let tensors: Vec<_> = (0..TILES).map(|tile| (view(&from, tile), view(&to, tile))).collect();

    let (mut rust, mut c, mut between) = (Vec::new(), Vec::new(), Vec::new());
    let rounds = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(ROUNDS);
    for round in 0..rounds + 5 {
        let by_rust = rust_round(&mut runtime, kernel, &tensors);
        // SAFETY: the context is used by this run alone.
        let status = unsafe { run(handle, orchestrate, (&raw mut through).cast(), std::ptr::null_mut()) };
        assert_eq!(status, prewire_status::Ok);
        // The first rounds grow what they need.
        if round >= 5 {
            rust.push(by_rust);
            c.push(through.took);
            between.push(through.took - by_rust);
        }
    }
    let ((rust, rust_tenth), (c, c_tenth)) = (median_and_tenth(&mut rust), median_and_tenth(&mut c));
    let (between, _) = median_and_tenth(&mut between);
    println!("submit of a task with two tensors and a scalar, {rounds} rounds of {TASKS} tasks, ns:");
    println!("                   median   quietest tenth");
    println!("    from Rust     {rust:7.1}          {rust_tenth:7.1}");
    println!("    through C     {c:7.1}          {c_tenth:7.1}");
    println!("    between them  {between:7.1}          {:7.1}   (goal: at most 15)", c_tenth - rust_tenth);
}
