//! The chip as the simulated platform plays it: what passes over its registers and its memory.

use prewire_platform_a5::chip;
use prewire_platform_sim::bus::{Access, RecordingBus, Register, WindowBus};
use prewire_platform_sim::{Engine, Sim, SimConfig, SimMemory};
use prewire_runtime_core::graph::{Graph, GraphSizes};
use prewire_runtime_core::id::{CoreId, KernelId, RingIndex, SlotIndex, TaskId};
use prewire_runtime_core::kernel::{Condition, Kernel, KernelFunction, KernelSet};
use prewire_runtime_core::memory::DeviceMemory;
use prewire_runtime_core::platform::{DispatchPayload, Outcome, Platform};
use prewire_runtime_core::port::{Condition as Answer, Token};
use prewire_runtime_core::tensor::DataType;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

struct Scene {
    accesses: Vec<Access>,
    invalidations: u64,
}

fn graph() -> Arc<Graph> {
    let sizes = GraphSizes { slots: 4, edges: 4, argument_units: 4, instances: 1, cores: usize::from(chip().cores()) };
    Arc::new(Graph::new(sizes, |_| 0))
}

/// Two runs in which a tensor is copied in, every core adds it to a counter and waits for the sum of its kind, the tensor is read as a predicate's
/// operand and copied out, and the cores leave. Returns the second run's accesses and what the memory counted.
fn scene(engine: Engine) -> Scene {
    let chip = chip();
    let memory = Arc::new(SimMemory::new(&chip));
    let bus = WindowBus::private(&chip.registers, chip.cores()).unwrap();
    let bus = RecordingBus::new(bus, chip.registers);
    let sim = Sim::with_bus(SimConfig::new(chip.clone(), engine), graph(), Arc::clone(&memory), bus).unwrap();
    let address = memory.allocate(4096).unwrap();
    let counter = address + 64;
    // SAFETY: allocated above and aligned; only accessed atomically.
    let word = unsafe { AtomicU32::from_ptr(counter as *mut u32) };
    let function = KernelFunction::Rust(Arc::new(move |context| {
        let (tensor, counter) = (context.scalar_bits(0)?, context.scalar_bits(1)?);
        // SAFETY: the host wrote it before the run.
        let value = unsafe { (tensor as *const u32).read() };
        // SAFETY: aligned, and only accessed atomically.
        let sum = unsafe { AtomicU32::from_ptr(counter as *mut u32) };
        sum.fetch_add(value, Ordering::AcqRel);
        context.complete_when(Condition { counter, expected: value });
        Ok(())
    }));
    let mut kernels = KernelSet::default();
    kernels.register(Kernel { name: "add".to_owned(), kind: None, function }).unwrap();
    let kernels = Arc::new(kernels);
    for (run, value) in [(1_u32, 3_u32), (2, 5)] {
        sim.bus().take();
        word.store(0, Ordering::Release);
        // SAFETY: allocated above, and no kernel runs.
        unsafe { memory.write(address, &value.to_ne_bytes()) };
        sim.begin_run(run, &kernels).unwrap();
        let scalars = [address, counter];
        for token in [Token::FIRST, Token::FIRST.next()] {
            for core in (0..chip.cores()).map(CoreId) {
                let payload = DispatchPayload {
                    task: TaskId::new(RingIndex(0), u64::from(core.0)),
                    tensors: std::ptr::null(),
                    scalars: scalars.as_ptr(),
                    slot: SlotIndex(0),
                    block: 0,
                    blocks: 1,
                    run,
                    core,
                    kernel: KernelId(0),
                    part: 0,
                    parts: 1,
                    tensor_count: 0,
                    scalar_count: 2,
                    concurrent: false,
                };
                let before = sim.counter_value(&Condition { counter, expected: 0 });
                // SAFETY: the core is idle, and the scalars live until it has ended.
                unsafe { sim.dispatch(core, token, &payload) };
                let began = Instant::now();
                while sim.poll(core) != Answer::Finished(token) {
                    assert!(began.elapsed() < Duration::from_secs(30), "{core:?} does not end");
                    std::thread::yield_now();
                }
                assert_eq!(sim.outcome(core, token), Outcome::Deferred);
                let mut conditions = Vec::new();
                sim.take_conditions(core, token, &mut |condition| conditions.push(condition)).unwrap();
                assert!(conditions.iter().all(|condition| sim.condition_holds(condition)));
                assert_eq!(sim.counter_value(&conditions[0]), before + value);
            }
        }
        assert_eq!(sim.read_operand(address, DataType::U32), i128::from(value));
        let mut out = [0; 4];
        // SAFETY: allocated above, and no kernel runs.
        unsafe { memory.read(address, &mut out) };
        assert_eq!(out, value.to_ne_bytes());
        assert_eq!(sim.exit(), []);
    }
    Scene { accesses: sim.bus().take(), invalidations: memory.invalidations() }
}

/// Claims CHIP-156.
#[test]
fn registers_lie_in_three_sparse_pages_and_nothing_is_invalidated() {
    let chip = chip();
    assert_eq!((chip.registers.dispatch, chip.registers.condition), (0xD0, 0x5108));
    assert_eq!(chip.registers.pages.iter().map(|page| page.1).collect::<Vec<_>>(), [4096, 8192, 4096]);
    let gaps = chip.registers.pages.windows(2).map(|pages| pages[1].0 - (pages[0].0 + pages[0].1));
    assert!(gaps.into_iter().all(|gap| gap > 0), "the pages do not touch");

    for engine in [Engine::Inline, Engine::Threads] {
        let scene = scene(engine);
        assert_eq!(scene.invalidations, 0);
        for core in (0..108).map(CoreId) {
            let of_core: Vec<&Access> = scene.accesses.iter().filter(|access| access.core == core).collect();
            assert!(of_core.iter().all(|access| match access.register {
                Register::Dispatch => access.offset == Some(0xD0),
                Register::Condition => access.offset == Some(0x5108),
                Register::FastPath => false,
            }));
            let tokens = of_core.iter().filter(|access| access.register == Register::Dispatch && access.value == 0);
            assert!(tokens.count() > 0, "the first token of {core:?} was seen");
        }
    }
}
