//! Reads on chips whose schedulers do not see what cores and copy engines write.

use crate::rig::{RUN, Rig, chip, closure, payload, set};
use prewire_platform_sim::bus::MemoryBus;
use prewire_platform_sim::{Engine, SimConfig, SimMemory};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::Condition;
use prewire_runtime_core::memory::DeviceMemory;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::task::Scalar;
use prewire_runtime_core::tensor::DataType;
use std::sync::Arc;

/// Reads everything twice that a scheduler reads, with a change between: tensors copied in, operands, counters, and both handshakes.
fn scene(chip: ChipSpec) -> (u64, u64) {
    let memory = Arc::new(SimMemory::checked(&chip));
    let bus = MemoryBus::new(chip.cores());
    let mut rig = Rig::with(SimConfig::new(chip, Engine::Inline), Arc::clone(&memory), bus);
    let address = memory.allocate(4096).unwrap();
    for (run, value) in [(RUN, 7_u32), (RUN + 1, 9), (RUN + 2, 11)] {
        rig.sim.begin_run(run, &set(vec![closure(|_| Ok(()))])).unwrap();
        // SAFETY: allocated above, and no task uses it.
        unsafe { memory.write(address, &value.to_ne_bytes()) };
        let block = prewire_runtime_core::platform::DispatchPayload { run, ..payload(CoreId(0), 0, 1) };
        assert_eq!(rig.run(&block), Ok(()));
        let mut seen = [0; 4];
        // SAFETY: as above.
        unsafe { memory.read(address, &mut seen) };
        let operand = rig.sim.read_operand(address, DataType::U32);
        let counter = rig.sim.counter_value(&Condition { counter: address, expected: 0 });
        assert_eq!((u32::from_ne_bytes(seen), operand, counter), (value, i128::from(value), value));
        let _ = rig.sim.exit();
    }
    (memory.stale_reads().unwrap(), memory.invalidations())
}

#[test]
fn without_coherence_every_read_invalidates_first_and_none_is_stale() {
    let (stale, invalidations) = scene(ChipSpec { coherent: false, ..chip(2) });
    assert_eq!(stale, 0);
    assert!(invalidations > 0);
}

#[test]
fn the_check_can_fail() {
    // A chip that claims coherence which its memory does not have: the old bytes come back.
    let chip = ChipSpec { coherent: true, ..chip(2) };
    let memory = SimMemory::checked(&chip);
    let address = memory.allocate(64).unwrap();
    let read = || {
        let mut bytes = [0; 4];
        // SAFETY: allocated above.
        unsafe { memory.read(address, &mut bytes) };
        bytes
    };
    assert_eq!(read(), [0; 4]);
    // SAFETY: as above.
    unsafe { memory.fill(address, Scalar::from(5_u8), 1, 4) };
    assert_eq!(read(), [0; 4], "the bytes of the first look");
    assert_eq!(memory.stale_reads(), Some(1));
    assert_eq!(memory.invalidations(), 0);
}
