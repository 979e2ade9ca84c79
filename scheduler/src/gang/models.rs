//! Models of the gate: only complete sets launch, and an answer to one attempt says nothing about the next.
//!
//! Loom sees every interleaving of two or three threads here. What it cannot see is a gate of many instances; the offers of all of them go through the same
//! words, one per instance.

use super::gate::{Gate, Gathered, Phase};
use prewire_runtime_core::id::SlotIndex;
use prewire_runtime_core::slot::Parts;
use prewire_runtime_core::sync::{Arc, AtomicBool, Ordering, UnsafeCell, thread};

/// A gang of so many single blocks.
fn gang(slot: u32, blocks: u32) -> Gathered {
    Gathered { slot: SlotIndex(slot), parts: Parts::VECTOR_0, names_cores: false, blocks }
}

/// Runs a model: every interleaving under loom, once natively.
fn model(body: impl Fn() + Send + Sync + 'static) {
    #[cfg(loom)]
    loom::model(body);
    #[cfg(not(loom))]
    body();
}

/// Places of one instance: touched by its owner alone, and by whoever starts blocks on them.
struct Places(UnsafeCell<u32>);

// SAFETY: the models are about whether accesses to it are ordered; loom checks them.
unsafe impl Sync for Places {}

/// Claims CHIP-096 (its model half; the stress rounds are asserted beside).
///
/// An instance sees attempt k and answers late; k is abandoned and k + 1 begun, and its place has become busy meanwhile. Nobody may launch k + 1 on the
/// strength of the old answer.
#[test]
fn loom_a_late_answer_does_not_satisfy_the_next_attempt() {
    model(|| {
        let gate = Arc::new(Gate::new(2));
        let first = gate.claim().unwrap();
        gate.gather(first, gang(1, 2));
        let busy = Arc::new(AtomicBool::new(false));
        let late = {
            let (gate, busy) = (gate.clone(), busy.clone());
            thread::spawn(move || {
                // It has one idle place when it looks; whether it answers in time is up to the scheduler.
                if let Phase::Gathering(seen) = gate.look() {
                    gate.offer(1, seen, 1);
                    // The next step: the place stays kept while the attempt that it was offered to lasts, and takes something else once it is over.
                    if gate.look().attempt() != Some(seen) {
                        busy.store(true, Ordering::Relaxed);
                        if let Phase::Gathering(next) = gate.look() {
                            gate.offer(1, next, 0);
                        }
                    }
                }
            })
        };
        assert!(gate.abandon(first));
        let second = gate.claim().unwrap();
        gate.gather(second, gang(2, 2));
        gate.offer(0, second, 1);
        let launched = gate.try_launch(second);
        late.join().unwrap();
        if launched {
            assert!(!busy.load(Ordering::Relaxed), "a block would start on a place that is not free");
            assert_eq!(gate.look(), Phase::Launching(second));
            assert_eq!(gate.take_share(1, second).map(|share| share.count), Some(1));
            assert_eq!(gate.take_share(0, second).map(|share| share.count), Some(1));
        }
    });
}

/// Offers that come at the same moment launch once, and every share is started once.
#[test]
fn loom_a_complete_set_launches_once() {
    model(|| {
        let gate = Arc::new(Gate::new(2));
        let generation = gate.claim().unwrap();
        assert!(gate.claim().is_none(), "one attempt at a time");
        gate.gather(generation, gang(7, 2));
        let places = Arc::new([Places(UnsafeCell::new(0)), Places(UnsafeCell::new(0))]);
        let join = |instance: usize| {
            let (gate, places) = (gate.clone(), places.clone());
            move || {
                assert_eq!(gate.look(), Phase::Gathering(generation));
                assert_eq!(gate.task(), gang(7, 2));
                // SAFETY: the instance's own places, before they are offered.
                places[instance].0.with_mut(|places| unsafe { *places = 1 });
                gate.offer(instance, generation, 1);
                gate.try_launch(generation)
            }
        };
        let other = thread::spawn(join(1));
        let mine = join(0)();
        let its = other.join().unwrap();
        // Each looks again before it sleeps, behind a fence; here the one that remains awake does.
        let again = !mine && !its && gate.try_launch(generation);
        assert_eq!([mine, its, again].iter().filter(|&&launched| launched).count(), 1);
        let shares = [0, 1].map(|instance| gate.take_share(instance, generation).unwrap());
        assert_eq!(shares.map(|share| (share.first, share.count)), [(0, 1), (1, 1)]);
        assert!(gate.take_share(0, generation).is_none(), "once");
        gate.started(generation);
        assert_eq!(gate.look(), Phase::Launching(generation));
        gate.started(generation);
        assert_eq!(gate.look(), Phase::Free);
    });
}

/// What led to a launch is visible to whoever starts a share of it.
#[test]
fn loom_a_launch_shows_what_led_to_it() {
    model(|| {
        let gate = Arc::new(Gate::new(2));
        let task = Arc::new(Places(UnsafeCell::new(0)));
        let starter = {
            let (gate, task) = (gate.clone(), task.clone());
            thread::spawn(move || {
                if let Phase::Launching(generation) = gate.look() {
                    let share = gate.take_share(1, generation);
                    assert_eq!(share.map(|share| share.count), Some(1), "the share of an instance is there");
                    // SAFETY: ordered by the gate, which is what is tested.
                    assert_eq!(task.0.with(|task| unsafe { *task }), 5);
                    gate.started(generation);
                }
            })
        };
        // SAFETY: before the launch.
        task.0.with_mut(|task| unsafe { *task = 5 });
        let generation = gate.claim().unwrap();
        // The other instance's offer, as if it had come.
        gate.offer(1, generation, 1);
        gate.gather(generation, gang(3, 1));
        assert!(gate.try_launch(generation));
        starter.join().unwrap();
    });
}

/// An attempt is either abandoned or launched.
#[test]
fn loom_an_attempt_is_abandoned_or_launched() {
    model(|| {
        let gate = Arc::new(Gate::new(1));
        let generation = gate.claim().unwrap();
        gate.gather(generation, gang(0, 1));
        gate.offer(0, generation, 1);
        let other = {
            let gate = gate.clone();
            thread::spawn(move || gate.abandon(generation))
        };
        let launched = gate.try_launch(generation);
        let abandoned = other.join().unwrap();
        assert_ne!(launched, abandoned);
        assert_eq!(gate.take_share(0, generation).is_some(), launched);
    });
}

/// Claims CHIP-096 (its stress half).
#[test]
fn late_answers_never_launch_on_busy_places() {
    const ROUNDS: u32 = if cfg!(miri) { 50 } else { 10_000 };
    let gate = std::sync::Arc::new(Gate::new(2));
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let kept = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let instance = {
        let (gate, over, kept) = (gate.clone(), over.clone(), kept.clone());
        std::thread::spawn(move || {
            // Its only place is busy in every other look that finds nothing to keep it for.
            let (mut offered, mut turn) = (None, 0u32);
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                turn += 1;
                let phase = gate.look();
                if offered.is_some() && phase.attempt() != offered {
                    offered = None;
                    kept.store(0, std::sync::atomic::Ordering::SeqCst);
                }
                match phase {
                    Phase::Gathering(seen) if offered.is_none() => {
                        if turn.is_multiple_of(3) {
                            std::thread::yield_now();
                        }
                        kept.store(seen, std::sync::atomic::Ordering::SeqCst);
                        offered = Some(seen);
                        gate.offer(1, seen, 1);
                    }
                    Phase::Launching(seen) => {
                        if gate.take_share(1, seen).is_some() {
                            assert_eq!(offered, Some(seen), "a share of an attempt that it offered nothing to");
                            gate.started(seen);
                        }
                    }
                    _ => std::hint::spin_loop(),
                }
            }
        })
    };
    let mut launches = 0;
    for round in 0..ROUNDS {
        let generation = gate.claim().expect("the gate is free");
        gate.gather(generation, gang(round, 2));
        gate.offer(0, generation, 1);
        for _ in 0..round % 7 {
            std::thread::yield_now();
        }
        if gate.try_launch(generation) {
            assert_eq!(
                kept.load(std::sync::atomic::Ordering::SeqCst),
                generation,
                "its place is kept for this attempt"
            );
            assert!(gate.take_share(0, generation).is_some());
            gate.started(generation);
            while gate.look() != Phase::Free {
                std::thread::yield_now();
            }
            launches += 1;
        } else {
            assert!(gate.abandon(generation));
        }
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    instance.join().unwrap();
    assert!(launches > 0, "some attempts came to their launch");
}
