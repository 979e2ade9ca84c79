//! A core finds what belongs to its token.

use crate::rig::{Rig, chip, closure, payload};
use prewire_platform_sim::Engine;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::platform::DispatchPayload;
use prewire_runtime_core::port::Token;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Dispatches for each of 72 cores: a million and a few altogether.
const PER_CORE: u64 = 13_900;

/// Every dispatch carries its own number in its block index, its task and its scalar, and goes to the kernel of that number's parity; each core's
/// kernels check that they belong together and come in order. The next payload is written while the one before runs.
///
/// Claims CHIP-074.
#[test]
fn a_core_that_sees_a_token_finds_the_payload_that_belongs_to_it() {
    let cores = 72_u16;
    let seen: Arc<Vec<AtomicU64>> = Arc::new((0..cores).map(|_| AtomicU64::new(0)).collect());
    let kernel = |parity: u64| {
        let seen = Arc::clone(&seen);
        closure(move |context| {
            let payload = context.payload();
            let number = context.scalar_bits(0)?;
            assert_eq!(number % 2, parity, "the kernel of another dispatch");
            assert_eq!(u64::from(payload.block), number);
            assert_eq!(payload.task.sequence(), number);
            let before = seen[payload.core.index()].fetch_add(1, Ordering::Relaxed);
            assert_eq!(before, number, "a dispatch was lost or run twice");
            Ok(())
        })
    };
    let mut rig = Rig::new(chip(24), Engine::Threads, vec![kernel(0), kernel(1)]);
    rig.preset_tokens(Token::starting_at(0x7FFF_FFE0).unwrap());
    let numbers: Vec<u64> = (0..PER_CORE).collect();
    let mut next = vec![0_u64; usize::from(cores)];
    let mut left = u64::from(cores) * PER_CORE;
    let mut in_flight = 0;
    while left > 0 || in_flight > 0 {
        let mut achieved = false;
        for core in (0..cores).map(CoreId) {
            let count = |rig: &Rig| {
                let state = rig.in_flight[core.index()];
                u64::from(state.running.is_some()) + u64::from(state.preloaded.is_some())
            };
            let before = count(&rig);
            let _ = rig.poll(core);
            achieved |= count(&rig) < before;
            in_flight -= before - count(&rig);
            let state = rig.in_flight[core.index()];
            let number = next[core.index()];
            if number < PER_CORE && (state.running.is_none() || state.can_preload()) {
                let scalars = &raw const numbers[number as usize];
                let block = DispatchPayload {
                    block: number as u32,
                    blocks: PER_CORE as u32,
                    scalars,
                    scalar_count: 1,
                    ..payload(core, (number % 2) as u16, number)
                };
                rig.dispatch(&block);
                next[core.index()] += 1;
                left -= 1;
                in_flight += 1;
                achieved = true;
            }
        }
        if !achieved {
            std::thread::yield_now();
        }
    }
    assert!(seen.iter().all(|seen| seen.load(Ordering::Relaxed) == PER_CORE));
}
