//! The chip as the simulated platform plays it: what passes over its registers and its memory.

use prewire_platform_a2a3::chip;
use prewire_platform_sim::bus::{Access, Direction, RecordingBus, WindowBus};
use prewire_platform_sim::{Engine, Sim, SimConfig, SimMemory};
use prewire_runtime_core::chip::ChipSpec;
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
    stale_reads: u64,
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
    let memory = Arc::new(SimMemory::checked(&chip));
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
    Scene {
        accesses: sim.bus().take(),
        stale_reads: memory.stale_reads().unwrap(),
        invalidations: memory.invalidations(),
    }
}

/// Claims CHIP-152.
#[test]
fn the_window_is_opened_before_the_first_token_and_closed_behind_the_last() {
    let chip = chip();
    assert_eq!(chip.registers.pages, [(0, 0x1400)]);

    for engine in [Engine::Inline, Engine::Threads] {
        let scene = scene(engine);
        for core in (0..72).map(CoreId) {
            let writes: Vec<(Option<usize>, u64)> = scene
                .accesses
                .iter()
                .filter(|access| access.core == core && access.direction == Direction::Write)
                .map(|access| (access.offset, access.value))
                .collect();
            let (fast_path, dispatch, condition) = (Some(0x18), Some(0xA0), Some(0x4C8));
            let finished = 1 << 31;
            let expected = [
                (fast_path, 0xE),
                (dispatch, u64::from(Token::IDLE)),
                (condition, finished | 0x7FFF_FFFF),
                (dispatch, 0),
                (condition, 0),
                (condition, finished),
                (dispatch, 1),
                (condition, 1),
                (condition, finished | 1),
                (dispatch, u64::from(Token::EXIT)),
                (condition, finished | 0x7FFF_FFFE),
                (fast_path, 0xF),
            ];
            assert_eq!(writes, expected, "{core:?} on {engine:?}");
        }
    }
}

/// Claims CHIP-153.
#[test]
fn what_cores_and_copies_wrote_is_invalidated_before_it_is_read() {
    for engine in [Engine::Inline, Engine::Threads] {
        let scene = scene(engine);
        assert_eq!(scene.stale_reads, 0);
        assert!(scene.invalidations > 0);
    }
    // The same memory shows what is missing where nothing is invalidated.
    let careless = ChipSpec { coherent: true, ..chip() };
    let memory = SimMemory::checked(&careless);
    let address = memory.allocate(4).unwrap();
    for value in [1_u32, 2] {
        // SAFETY: allocated above, and used here only.
        unsafe { memory.write(address, &value.to_ne_bytes()) };
        let mut seen = [0; 4];
        // SAFETY: as above.
        unsafe { memory.read(address, &mut seen) };
        assert_eq!(seen, 1_u32.to_ne_bytes());
    }
    assert_eq!(memory.stale_reads(), Some(1));
}
