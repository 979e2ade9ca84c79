//! What passes over the register bus.

use crate::rig::{RUN, Rig, chip, closure, payload, set};
use prewire_platform_sim::bus::{
    Access, Direction, MemoryBus, RecordingBus, Register, RegisterBus, Side, WindowBus, WindowError,
};
use prewire_platform_sim::{Engine, Fault, SimConfig, SimMemory};
use prewire_runtime_core::chip::{ChipSpec, RegisterMap};
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::platform::Platform;
use prewire_runtime_core::port::{Condition, Token};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;

fn recorded<B: RegisterBus>(chip: ChipSpec, engine: Engine, bus: B) -> Rig<RecordingBus<B>> {
    let bus = RecordingBus::new(bus, chip.registers);
    let memory = Arc::new(SimMemory::new(&chip));
    Rig::with(SimConfig::new(chip, engine), memory, bus)
}

/// The writes to one core, as (register, side, value).
fn writes(accesses: &[Access], core: CoreId) -> Vec<(Register, Side, u64)> {
    let of_core = accesses.iter().filter(|access| access.core == core && access.direction == Direction::Write);
    of_core.map(|access| (access.register, access.side, access.value)).collect()
}

fn condition(condition: Condition) -> (Register, Side, u64) {
    (Register::Condition, Side::Core, u64::from(condition.to_register()))
}

fn dispatch(value: u32) -> (Register, Side, u64) {
    (Register::Dispatch, Side::Scheduler, u64::from(value))
}

#[test]
fn a_run_of_two_dispatches_is_the_same_words_on_every_engine() {
    for engine in [Engine::Inline, Engine::InlineOnly, Engine::Threads] {
        let chip = chip(1);
        let mut rig = recorded(chip.clone(), engine, MemoryBus::new(chip.cores()));
        rig.sim.begin_run(RUN, &set(vec![closure(|_| Ok(()))])).unwrap();
        let core = CoreId(2);
        rig.run(&payload(core, 0, 1)).unwrap();
        rig.run(&payload(core, 0, 2)).unwrap();
        assert_eq!(rig.sim.exit(), []);
        let (first, second) = (Token::FIRST, Token::FIRST.next());
        let expected = [
            (Register::FastPath, Side::Scheduler, 7),
            dispatch(Token::IDLE),
            condition(Condition::Idle),
            dispatch(first.to_register()),
            condition(Condition::Started(first)),
            condition(Condition::Finished(first)),
            dispatch(second.to_register()),
            condition(Condition::Started(second)),
            condition(Condition::Finished(second)),
            dispatch(Token::EXIT),
            condition(Condition::Exited),
            (Register::FastPath, Side::Scheduler, 8),
        ];
        assert_eq!(writes(&rig.sim.bus().take(), core), expected, "{engine:?}");
    }
}

#[test]
fn exit_is_told_to_all_cores_before_any_is_waited_for() {
    let chip = chip(3);
    let rig = recorded(chip.clone(), Engine::Threads, MemoryBus::new(chip.cores()));
    rig.sim.begin_run(RUN, &set(vec![])).unwrap();
    rig.sim.bus().take();
    assert_eq!(rig.sim.exit(), []);
    let accesses = rig.sim.bus().take();
    let told: Vec<CoreId> = accesses
        .iter()
        .take_while(|access| access.register == Register::Dispatch && access.direction == Direction::Write)
        .map(|access| access.core)
        .collect();
    assert_eq!(told, (0..9).map(CoreId).collect::<Vec<_>>());
}

#[test]
fn a_repeated_fin_is_seen_on_the_bus_and_believed_by_nobody() {
    for engine in [Engine::Inline, Engine::Threads] {
        let chip = chip(1);
        let mut rig = recorded(chip.clone(), engine, MemoryBus::new(chip.cores()));
        let core = CoreId(0);
        rig.sim.set_fault(core, Some(Fault::RepeatsFin));
        rig.sim.begin_run(RUN, &set(vec![closure(|_| Ok(()))])).unwrap();
        for task in 0..5 {
            rig.run(&payload(core, 0, task)).unwrap();
        }
        let first = condition(Condition::Finished(Token::FIRST));
        let repeats = writes(&rig.sim.bus().take(), core).into_iter().filter(|write| *write == first).count();
        assert_eq!(repeats, 3, "once, once more, and once more with the next dispatch");
    }
}

#[test]
fn reads_are_recorded_with_their_thread_and_repetitions_once() {
    let chip = chip(1);
    let bus = RecordingBus::new(MemoryBus::new(3), chip.registers);
    for _ in 0..5 {
        bus.read_condition(CoreId(1));
    }
    bus.write_condition(CoreId(1), 9);
    thread::scope(|scope| scope.spawn(|| bus.read_condition(CoreId(1))).join()).unwrap();
    bus.read_condition(CoreId(1));
    let accesses = bus.take();
    let own = thread::current().id();
    let seen: Vec<(Direction, u64, bool)> =
        accesses.iter().map(|access| (access.direction, access.value, access.thread == own)).collect();
    let silent = u64::from(Condition::Unknown.to_register());
    let expected = [
        (Direction::Read, silent, true),
        (Direction::Write, 9, true),
        (Direction::Read, 9, false),
        (Direction::Read, 9, true),
    ];
    assert_eq!(seen, expected);
    assert!(accesses.iter().all(|access| access.offset == Some(0x2084)));
    assert_eq!(bus.take(), []);
}

#[test]
fn registers_lie_at_the_maps_offsets_in_the_window() {
    let chip = chip(1);
    let bus = WindowBus::private(&chip.registers, chip.cores()).unwrap();
    let windows: Vec<usize> = (0..3).map(|core| bus.window(CoreId(core)).as_ptr() as usize).collect();
    let memory = Arc::new(SimMemory::new(&chip));
    let mut rig = Rig::with(SimConfig::new(chip, Engine::Threads), memory, bus);
    rig.sim.begin_run(RUN, &set(vec![closure(|_| Ok(()))])).unwrap();
    rig.preset_tokens(Token::starting_at(40).unwrap());
    rig.run(&payload(CoreId(1), 0, 1)).unwrap();
    // SAFETY: the windows are mapped while the chip lives, and all access is atomic.
    let word = |core: usize, offset| unsafe { AtomicU32::from_ptr((windows[core] + offset) as *mut u32) };
    // SAFETY: as above.
    let dispatch = |core: usize| unsafe { AtomicU64::from_ptr((windows[core] + 0x40) as *mut u64) };
    assert_eq!(dispatch(1).load(Ordering::Relaxed), 40);
    assert_eq!(word(1, 0x2084).load(Ordering::Relaxed), 1 << 31 | 40);
    assert_eq!(word(1, 0x10).load(Ordering::Relaxed), 7);
    assert_eq!(dispatch(2).load(Ordering::Relaxed), u64::from(Token::IDLE));
    // Whoever else stands behind the window is heard.
    word(2, 0x2084).store(1 << 31 | 41, Ordering::Release);
    assert_eq!(rig.sim.poll(CoreId(2)), Condition::Finished(Token::starting_at(41).unwrap()));
}

#[test]
fn a_map_that_no_window_fits_is_refused() {
    let map = chip(1).registers;
    let private = |map: RegisterMap| WindowBus::private(&map, 3).unwrap_err();
    let outside = private(RegisterMap { condition: 0x1000, ..map });
    assert_eq!(outside, WindowError::OutsidePages { offset: 0x1000 });
    let cut = private(RegisterMap { dispatch: 0xFFC, ..map });
    assert_eq!(cut, WindowError::Misaligned { address: 0xFFC, bytes: 8 });
    assert_eq!(outside.to_string(), "the register at offset 0x1000 lies outside the window's pages");
}
