//! A submit through C allocates nothing on the thread that submits.

use prewire_ffi::buffer::{prewire_buffer_create, prewire_buffer_destroy, prewire_buffer_tensor};
use prewire_ffi::config::{PREWIRE_SINGLE_THREAD, prewire_config_init};
use prewire_ffi::kernel::prewire_kernel_call;
use prewire_ffi::registration::{prewire_kernel, prewire_runtime_register};
use prewire_ffi::run::{prewire_run, prewire_run_submit};
use prewire_ffi::runtime::{prewire_runtime_create, prewire_runtime_destroy, prewire_runtime_run};
use prewire_ffi::status::prewire_status;
use prewire_ffi::task::{
    PREWIRE_ANY_CORE, PREWIRE_NO_KERNEL, prewire_argument, prewire_dependency, prewire_new_tensor, prewire_task,
};
use prewire_ffi::tensor::prewire_tensor;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::c_void;
use std::mem::MaybeUninit;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ending = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: by contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: by contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const TASKS: u64 = 2000;

struct Graph {
    kernel: u32,
    tensor: prewire_tensor,
    allocations: u64,
}

/// Tasks with an input, an allocated output, a scalar and a dependency.
unsafe extern "C" fn orchestrate(run: *mut prewire_run, context: *mut c_void) -> u32 {
    // SAFETY: the context is the one given below, which nobody else uses meanwhile.
    let graph = unsafe { &mut *context.cast::<Graph>() };
    let shape = prewire_new_tensor { shape: [4, 1, 1, 1, 1], dimensions: 1, data_type: 0, is_filled: 0, initial: 0 };
    let mut before = u64::MAX;
    let before_all = ALLOCATIONS.get();
    for number in 0..TASKS {
        let mut made = MaybeUninit::<prewire_tensor>::uninit();
        let input = prewire_argument {
            kind: 0,
            reserved: 0,
            tensor: &raw const graph.tensor,
            allocation: std::ptr::null(),
            allocated: std::ptr::null_mut(),
        };
        let output = prewire_argument {
            kind: 1,
            tensor: std::ptr::null(),
            allocation: &raw const shape,
            allocated: made.as_mut_ptr(),
            ..input
        };
        let arguments = [input, output];
        let dependency = prewire_dependency { task: before, flags: 0, reserved: 0 };
        let task = prewire_task {
            size: size_of::<prewire_task>(),
            kind: 2,
            flags: 0,
            kernels: [graph.kernel, PREWIRE_NO_KERNEL, PREWIRE_NO_KERNEL],
            core: PREWIRE_ANY_CORE,
            blocks: 1,
            arguments: arguments.as_ptr(),
            argument_count: 2,
            scalars: &raw const number,
            scalar_count: 1,
            dependencies: &raw const dependency,
            dependency_count: usize::from(number > 0),
            predicate: std::ptr::null(),
            budget_ns: 0,
        };
        // SAFETY: the run is the one of this orchestration, and the task's lists live until the call returns.
        if unsafe { prewire_run_submit(run, &raw const task, &raw mut before) } != prewire_status::Ok {
            return 1;
        }
    }
    graph.allocations = ALLOCATIONS.get() - before_all;
    0
}

unsafe extern "C" fn nothing(_: *mut prewire_kernel_call) -> i32 {
    0
}

#[test]
fn a_submit_allocates_nothing() {
    let mut config = MaybeUninit::uninit();
    // SAFETY: it may be written.
    assert_eq!(unsafe { prewire_config_init(config.as_mut_ptr()) }, prewire_status::Ok);
    // SAFETY: it was written.
    let mut config = unsafe { config.assume_init() };
    config.flags = PREWIRE_SINGLE_THREAD;
    let (mut runtime, mut buffer) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: both point to what they should.
    assert_eq!(unsafe { prewire_runtime_create(&raw const config, &raw mut runtime) }, prewire_status::Ok);
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
    assert_eq!(unsafe { prewire_runtime_register(runtime, &raw const kernel, &raw mut id) }, prewire_status::Ok);
    // SAFETY: as above.
    assert_eq!(unsafe { prewire_buffer_create(runtime, 16, &raw mut buffer) }, prewire_status::Ok);
    let mut tensor = MaybeUninit::uninit();
    let shape = 4;
    // SAFETY: as above.
    let made = unsafe { prewire_buffer_tensor(buffer, 0, 0, &raw const shape, 1, tensor.as_mut_ptr()) };
    assert_eq!(made, prewire_status::Ok);
    // SAFETY: it was written.
    let tensor = unsafe { tensor.assume_init() };
    let mut graph = Graph { kernel: id, tensor, allocations: u64::MAX };
    // What a first run grows stays.
    for _ in 0..2 {
        let context = (&raw mut graph).cast();
        // SAFETY: the context is used by this run alone.
        let ran = unsafe { prewire_runtime_run(runtime, Some(orchestrate), context, std::ptr::null_mut()) };
        assert_eq!(ran, prewire_status::Ok);
    }
    assert_eq!(graph.allocations, 0, "in {TASKS} submits");
    // SAFETY: any handle may be given.
    assert_eq!(unsafe { prewire_buffer_destroy(buffer) }, prewire_status::Ok);
    // SAFETY: no kernel has a context.
    assert_eq!(unsafe { prewire_runtime_destroy(runtime) }, prewire_status::Ok);
}
