//! One block on one core: how it ends, and where it ran.

use crate::rig::{RUN, Rig, chip, closure, payload};
use prewire_platform_sim::Engine;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::{KernelCall, KernelError, KernelFunction};
use prewire_runtime_core::platform::{BlockFailure, DispatchPayload, Platform};
use prewire_runtime_core::port::{Condition, Token};
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::ThreadId;

const ENGINES: [Engine; 3] = [Engine::Inline, Engine::InlineOnly, Engine::Threads];

#[test]
fn a_kernel_that_fails_or_panics_leaves_its_code_and_text() {
    for engine in ENGINES {
        let kernels = vec![
            closure(|_| Ok(())),
            closure(|_| Err(KernelError::new(17, "the matrix is singular"))),
            closure(|context| panic!("block {} met a wall", context.block_index())),
        ];
        let mut rig = Rig::new(chip(2), engine, kernels);
        for core in (0..6).map(CoreId) {
            assert_eq!(rig.run(&payload(core, 0, 1)), Ok(()), "{engine:?}");
            let failure = BlockFailure { code: 17, text: "the matrix is singular".to_owned() };
            assert_eq!(rig.run(&payload(core, 1, 2)), Err(failure), "{engine:?}");
            let failure = BlockFailure { code: KernelError::PANIC, text: "block 3 met a wall".to_owned() };
            let block = DispatchPayload { block: 3, blocks: 4, ..payload(core, 2, 3) };
            assert_eq!(rig.run(&block), Err(failure), "{engine:?}");
            assert_eq!(rig.run(&payload(core, 0, 4)), Ok(()), "a failure must not stick, {engine:?}");
            let unknown = rig.run(&payload(core, 9, 5)).unwrap_err();
            assert_eq!(unknown.text, "kernel 9 is not registered", "{engine:?}");
        }
    }
}

/// A kernel in C's calling convention: fails with its scalar if that is not 0, and writes what it was given.
unsafe extern "C" fn scribble(call: *mut KernelCall) -> i32 {
    // SAFETY: the platform hands a call that is valid until the function returns.
    let call = unsafe { &mut *call };
    // SAFETY: there is one scalar.
    let code = unsafe { *call.scalars } as i32;
    let text = format!("{} of {} part {} user {}\0", call.block_index, call.block_count, call.part, call.user as usize);
    assert!(text.len() <= call.text_bytes);
    // SAFETY: the text fits.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr().cast(), call.text, text.len()) };
    code
}

#[test]
fn a_c_kernel_is_given_its_call_and_its_return_value_decides() {
    for engine in ENGINES {
        let function = KernelFunction::C { function: scribble, user: 77, keep: None };
        let mut kernel = closure(|_| Ok(()));
        kernel.function = function;
        let mut rig = Rig::new(chip(1), engine, vec![kernel]);
        for code in [0_u64, 5, -9_i64 as u64] {
            let block = DispatchPayload {
                scalars: &raw const code,
                scalar_count: 1,
                block: 2,
                blocks: 8,
                part: 2,
                parts: 4,
                ..payload(CoreId(2), 0, 1)
            };
            let failure = BlockFailure { code: code as i32, text: "2 of 8 part 2 user 77".to_owned() };
            assert_eq!(rig.run(&block), if code == 0 { Ok(()) } else { Err(failure) }, "{engine:?}");
        }
    }
}

#[test]
fn the_engine_decides_whose_thread_runs_a_block() {
    for engine in ENGINES {
        let ran: Arc<Mutex<Vec<ThreadId>>> = Arc::default();
        let kernel = {
            let ran = Arc::clone(&ran);
            closure(move |_| {
                ran.lock().unwrap().push(std::thread::current().id());
                Ok(())
            })
        };
        let mut rig = Rig::new(chip(1), engine, vec![kernel]);
        assert_eq!(rig.sim.threads(), 0, "no thread before one is needed");
        let own = std::thread::current().id();
        let (_, ended) = rig.dispatch(&payload(CoreId(0), 0, 1));
        assert_eq!(ended, engine != Engine::Threads);
        rig.drain(CoreId(0));
        let concurrent = DispatchPayload { concurrent: true, ..payload(CoreId(1), 0, 2) };
        let (_, ended) = rig.dispatch(&concurrent);
        assert_eq!(ended, engine == Engine::InlineOnly);
        rig.drain(CoreId(1));
        let here: Vec<bool> = ran.lock().unwrap().iter().map(|thread| *thread == own).collect();
        let expected = match engine {
            Engine::Inline => [true, false],
            Engine::InlineOnly => [true, true],
            Engine::Threads | Engine::Virtual { .. } => [false, false],
        };
        assert_eq!(here, expected, "{engine:?}");
        assert_eq!(rig.sim.runs_concurrently(), engine != Engine::InlineOnly);
        assert_eq!(rig.sim.can_preload(), engine == Engine::Threads);
    }
}

#[test]
fn a_core_answers_idle_then_the_tokens_across_the_reserved_values_then_exited() {
    for engine in ENGINES {
        let mut rig = Rig::new(chip(1), engine, vec![closure(|_| Ok(()))]);
        rig.preset_tokens(Token::starting_at(0x7FFF_FFE0).unwrap());
        let core = CoreId(1);
        assert_eq!(rig.sim.poll(core), Condition::Idle);
        for task in 0..40 {
            assert_eq!(rig.run(&payload(core, 0, task)), Ok(()));
        }
        assert_eq!(rig.sim.exit(), []);
        assert_eq!(rig.sim.poll(core), Condition::Exited);
        rig.sim.begin_run(RUN + 1, &crate::rig::set(vec![])).unwrap();
        assert_eq!(rig.sim.poll(core), Condition::Idle);
    }
}
