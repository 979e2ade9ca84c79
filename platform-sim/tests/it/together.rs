//! Blocks and parts that wait for one another: barriers and pipes, and how every wait ends.

use crate::rig::{RUN, Rig, chip, closure, payload};
use prewire_platform_sim::Engine;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::KernelError;
use prewire_runtime_core::platform::{DispatchPayload, Platform};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const ENGINES: [Engine; 2] = [Engine::Inline, Engine::Threads];

/// A gang whose blocks count themselves before each of three barriers and find everybody counted behind it.
fn meet(clusters: u16, engine: Engine, blocks: u32, parts: u8, place: impl Fn(u32, u8) -> CoreId) {
    let met = Arc::new(AtomicU32::new(0));
    let size = blocks * parts.count_ones();
    let kernel = {
        let met = Arc::clone(&met);
        closure(move |context| {
            for round in 1..=3 {
                met.fetch_add(1, Ordering::Relaxed);
                context.barrier()?;
                let seen = met.load(Ordering::Relaxed);
                assert!(seen >= round * size && seen < (round + 1) * size, "{seen} of {size} in round {round}");
                context.barrier()?;
            }
            Ok(())
        })
    };
    let mut rig = Rig::new(chip(clusters), engine, vec![kernel]);
    for task in 0..3 {
        met.store(0, Ordering::Relaxed);
        let ends = rig.run_together(0, task, blocks, parts, &place);
        assert!(ends.iter().all(Result::is_ok), "{engine:?}: {ends:?}");
        assert_eq!(met.load(Ordering::Relaxed), 3 * size);
    }
}

/// Claims CHIP-090.
#[test]
fn all_blocks_of_a_gang_run_at_the_same_time() {
    for engine in ENGINES {
        let chip = chip(24);
        meet(24, engine, 24, 7, |block, part| chip.core(block as u16, usize::from(part)));
        meet(24, engine, 48, 2, |block, _| CoreId(24 + block as u16));
    }
}

/// Claims CHIP-087.
#[test]
fn a_cube_kernel_streams_tiles_to_the_vector_kernels_of_its_cluster() {
    const TILES: u64 = 1000;
    let sums: Arc<Vec<AtomicU32>> = Arc::new((0..48).map(|_| AtomicU32::new(0)).collect());
    let cube = closure(|context| {
        for tile in 0..TILES {
            context.send(1, tile)?;
            context.send(2, tile * 3)?;
        }
        // The vector cores say that they are through.
        assert_eq!((context.receive(1)?, context.receive(2)?), (TILES, TILES));
        Ok(())
    });
    let vector = {
        let sums = Arc::clone(&sums);
        closure(move |context| {
            let factor = if context.part() == 1 { 1 } else { 3 };
            let mut sum = 0;
            for tile in 0..TILES {
                let value = context.receive(0)?;
                assert_eq!(value, tile * factor, "tiles come in order");
                sum += value;
            }
            let place = context.block_index() as usize * 2 + context.part() - 1;
            sums[place].store(sum as u32, Ordering::Relaxed);
            context.send(0, TILES)
        })
    };
    for clusters in [1, 8, 24] {
        let chip = chip(clusters);
        let mut rig = Rig::new(chip.clone(), Engine::default(), vec![cube.clone(), vector.clone()]);
        sums.iter().for_each(|sum| sum.store(0, Ordering::Relaxed));
        let blocks = u32::from(clusters);
        let mut dispatched = Vec::new();
        for block in 0..blocks {
            for part in 0..3_u8 {
                let core = chip.core(block as u16, usize::from(part));
                let kernel = u16::from(part != 0);
                let mix =
                    DispatchPayload { block, blocks, part, parts: 7, concurrent: true, ..payload(core, kernel, 1) };
                dispatched.push((core, rig.dispatch(&mix).0));
            }
        }
        for (core, token) in dispatched {
            rig.drain(core);
            assert_eq!(rig.sim.outcome(core, token), prewire_runtime_core::platform::Outcome::Ok);
        }
        let sum = (0..TILES).sum::<u64>() as u32;
        for block in 0..usize::from(clusters) {
            let got = [0, 1].map(|part| sums[2 * block + part].load(Ordering::Relaxed));
            assert_eq!(got, [sum, 3 * sum]);
        }
    }
}

#[test]
fn a_member_that_fails_before_the_barrier_breaks_it_for_its_siblings() {
    for engine in ENGINES {
        let kernel = closure(|context| {
            if context.block_index() == 5 {
                return Err(KernelError::new(77, "no pivot"));
            }
            context.barrier()
        });
        let mut rig = Rig::new(chip(8), engine, vec![kernel]);
        let ends = rig.run_together(0, 1, 8, 7, |block, part| chip(8).core(block as u16, usize::from(part)));
        for (index, end) in ends.iter().enumerate() {
            let failure = end.as_ref().unwrap_err();
            if index / 3 == 5 {
                assert_eq!((failure.code, failure.text.as_str()), (77, "no pivot"));
            } else {
                assert_eq!(failure.code, KernelError::CANCELLED);
                assert!(failure.text.contains("block 5 failed: no pivot"), "{}", failure.text);
            }
        }
    }
}

#[test]
fn a_member_that_returns_without_the_barrier_is_not_waited_for() {
    let kernel = closure(|context| if context.block_index() == 0 { Ok(()) } else { context.barrier() });
    let mut rig = Rig::new(chip(2), Engine::Inline, vec![kernel]);
    let ends = rig.run_together(0, 1, 2, 2, |block, _| CoreId(2 + block as u16));
    assert_eq!(ends[0], Ok(()));
    let text = &ends[1].as_ref().unwrap_err().text;
    assert!(text.contains("cannot be reached by all"), "{text}");
}

#[test]
fn pipes_end_with_the_part_at_the_far_end() {
    let kernel = closure(|context| match (context.block_index(), context.part()) {
        // Block 0: the sender fails. Block 1: it sends two and returns. Block 2: the receiver returns. Block 3: a part that is not there.
        (0, 0) => Err(KernelError::new(5, "dry")),
        (0, _) => {
            let error = context.receive(0).unwrap_err();
            assert!(error.code == KernelError::CANCELLED && error.text.contains("failed"), "{error}");
            Ok(())
        }
        (1, 0) => context.send(1, 10).and_then(|()| context.send(1, 11)),
        (1, _) => {
            assert_eq!((context.receive(0)?, context.receive(0)?), (10, 11), "what was sent is not lost");
            assert!(context.receive(0).unwrap_err().text.contains("has returned"));
            Ok(())
        }
        (2, 0) => {
            let sent = (0..1000).take_while(|&value| context.send(1, value).is_ok()).count();
            assert_eq!(sent, 64, "as many as the pipe holds");
            Ok(())
        }
        (2, _) => Ok(()),
        (_, 0) => {
            assert_eq!(context.send(2, 1).unwrap_err().code, KernelError::ACCESS);
            assert_eq!(context.send(0, 1).unwrap_err().code, KernelError::ACCESS);
            assert_eq!(context.receive(9).unwrap_err().code, KernelError::ACCESS);
            Ok(())
        }
        (_, _) => Ok(()),
    });
    for engine in ENGINES {
        let mut rig = Rig::new(chip(4), engine, vec![kernel.clone()]);
        let ends = rig.run_together(0, 1, 4, 3, |block, part| chip(4).core(block as u16, usize::from(part)));
        let failed: Vec<usize> = (0..8).filter(|&index| ends[index].is_err()).collect();
        assert_eq!(failed, [0], "{engine:?}: {ends:?}");
    }
}

#[test]
fn cancelling_the_run_ends_every_wait() {
    let waiting = Arc::new(AtomicU32::new(0));
    let kernel = {
        let waiting = Arc::clone(&waiting);
        closure(move |context| {
            waiting.fetch_add(1, Ordering::AcqRel);
            match context.part() {
                0 => context.receive(1).map(|_| ()),
                1 => (0..).try_for_each(|value| context.send(2, value)),
                _ => context.barrier(),
            }
        })
    };
    for engine in ENGINES {
        waiting.store(0, Ordering::Release);
        let mut rig = Rig::new(chip(2), engine, vec![kernel.clone()]);
        let mut dispatched = Vec::new();
        for block in 0..2 {
            for part in 0..3 {
                let core = chip(2).core(block as u16, usize::from(part));
                let mix = DispatchPayload { block, blocks: 2, part, parts: 7, concurrent: true, ..payload(core, 0, 1) };
                dispatched.push((core, rig.dispatch(&mix).0));
            }
        }
        crate::rig::wait_until("all wait", || waiting.load(Ordering::Acquire) == 6);
        rig.sim.cancel(RUN);
        for (core, token) in dispatched {
            rig.drain(core);
            let failure = rig.sim.take_failure(core, token);
            assert_eq!((failure.code, failure.text.as_str()), (KernelError::CANCELLED, "the run was ended"));
        }
    }
}

#[test]
fn what_cannot_run_at_the_same_time_is_told_so_and_never_hangs() {
    let kernel = closure(|context| context.barrier());
    // Two blocks that nobody promised to run together.
    let mut rig = Rig::new(chip(1), Engine::Inline, vec![kernel.clone()]);
    let failure = rig.run(&DispatchPayload { blocks: 2, ..payload(CoreId(1), 0, 1) }).unwrap_err();
    assert!(failure.text.contains("submit the task as a gang"), "{}", failure.text);
    assert_eq!(rig.run(&payload(CoreId(1), 0, 2)), Ok(()), "a block alone has nobody to wait for");
    // A gang on the engine that runs everything inline.
    let mut rig = Rig::new(chip(1), Engine::InlineOnly, vec![kernel]);
    let gang = DispatchPayload { blocks: 2, concurrent: true, ..payload(CoreId(1), 0, 1) };
    let failure = rig.run(&gang).unwrap_err();
    assert!(failure.text.contains("choose the default engine or threads"), "{}", failure.text);
}
