//! Conditions that kernels register for their task's completion.

use crate::rig::{Rig, chip, closure, payload};
use prewire_platform_sim::{Engine, Fault};
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::Condition;
use prewire_runtime_core::memory::DeviceMemory;
use prewire_runtime_core::platform::{DeferError, DispatchPayload, Outcome, Platform};
use std::sync::atomic::{AtomicU32, Ordering};

const CORE: CoreId = CoreId(1);

/// Runs a kernel that registers `count` counters from `address` on, each expected to reach its number, and takes what it registered.
fn register(rig: &mut Rig, address: u64, count: u64) -> Result<Vec<Condition>, DeferError> {
    let scalars = [address, count];
    let block = DispatchPayload { scalars: scalars.as_ptr(), scalar_count: 2, ..payload(CORE, 0, 1) };
    let (token, _) = rig.dispatch(&block);
    rig.drain(CORE);
    assert_eq!(rig.sim.outcome(CORE, token), Outcome::Deferred);
    let mut conditions = Vec::new();
    rig.sim.take_conditions(CORE, token, &mut |condition| conditions.push(condition))?;
    Ok(conditions)
}

fn rig(engine: Engine) -> Rig {
    let kernel = closure(|context| {
        for index in 0..context.scalar_bits(1)? {
            let counter = context.scalar_bits(0)? + 4 * index;
            context.complete_when(Condition { counter, expected: index as u32 });
        }
        Ok(())
    });
    Rig::new(chip(1), engine, vec![kernel, closure(|_| Ok(()))])
}

#[test]
fn up_to_64_conditions_come_out_as_they_went_in_and_say_when_they_hold() {
    for engine in [Engine::Inline, Engine::Threads] {
        let mut rig = rig(engine);
        let address = rig.sim.memory().allocate(4096).unwrap();
        for count in [1, 64, 2] {
            let conditions = register(&mut rig, address, count).unwrap();
            let expected: Vec<Condition> =
                (0..count).map(|index| Condition { counter: address + 4 * index, expected: index as u32 }).collect();
            assert_eq!(conditions, expected);
        }
        let condition = Condition { counter: address, expected: 3 };
        // SAFETY: allocated above and aligned.
        let counter = unsafe { AtomicU32::from_ptr(address as *mut u32) };
        for (value, holds) in [(0, false), (2, false), (3, true), (5, true)] {
            counter.store(value, Ordering::Release);
            assert_eq!(rig.sim.condition_holds(&condition), holds, "{value} where 3 is expected");
            assert_eq!(rig.sim.counter_value(&condition), value);
        }
        assert_eq!(rig.run(&payload(CORE, 1, 2)), Ok(()), "a dispatch without conditions is not deferred");
    }
}

#[test]
fn conditions_that_cannot_be_watched_are_told_apart() {
    let mut rig = rig(Engine::Inline);
    let address = rig.sim.memory().allocate(4096).unwrap();
    let text = |error: DeferError| match error {
        DeferError::TooMany(text) => format!("102 {text}"),
        DeferError::Invalid(text) => format!("101 {text}"),
        DeferError::Malformed(text) => format!("103 {text}"),
    };
    let mut refused = |address, count| text(register(&mut rig, address, count).unwrap_err());
    assert_eq!(refused(address, 65), "102 65 conditions were registered and one dispatch may register 64");
    assert_eq!(refused(0, 1), "101 the counter of condition 0 is null");
    let local = 0_u32;
    let outside = (&raw const local) as u64;
    let text_outside = format!("101 the counter of condition 0 at {outside:#x} does not lie in device memory");
    assert_eq!(refused(outside, 1), text_outside);
    let gone = rig.sim.memory().allocate(1 << 20).unwrap();
    // SAFETY: nobody uses it.
    unsafe { rig.sim.memory().free(gone) };
    let mut refused = |address, count| text(register(&mut rig, address, count).unwrap_err());
    assert!(refused(gone, 1).ends_with("does not lie in device memory"), "it was given back");
    assert!(refused(address + 2, 1).contains("not aligned"));

    // A user's own memory becomes device memory when it is registered.
    // SAFETY: the variable outlives its registration.
    unsafe { rig.sim.memory().register(outside, 4) };
    assert_eq!(register(&mut rig, outside, 1).unwrap().len(), 1);
    assert!(rig.sim.memory().unregister(outside) && !rig.sim.memory().unregister(outside));
    assert!(register(&mut rig, outside, 1).is_err());

    rig.sim.set_fault(CORE, Some(Fault::DamagesConditionCount));
    let damaged = text(register(&mut rig, address, 1).unwrap_err());
    assert_eq!(damaged, "103 the record says 65 conditions and has room for 64");
    rig.sim.set_fault(CORE, Some(Fault::DamagesConditionKind));
    let damaged = text(register(&mut rig, address, 1).unwrap_err());
    assert_eq!(damaged, "103 condition 0 is of the unknown kind 4294967295");
    rig.sim.set_fault(CORE, None);
    assert_eq!(register(&mut rig, address, 1).unwrap().len(), 1, "the core is usable again");
}
