//! The ready ring: nothing lost, nothing doubled, in order, full and empty, and slots carry what was written before they were pushed.

use super::Bytes;
use crate::id::SlotIndex;
use crate::ready::ReadyRing;
use crate::sync::{Arc, model, spin_hint, thread};

fn pop_one(ring: &ReadyRing) -> u32 {
    loop {
        match ring.pop() {
            Some(slot) => return slot.0,
            None => spin_hint(),
        }
    }
}

/// Two pushers, one popper that takes a batch, a ring of two.
#[test]
fn loom_two_pushers_one_popper() {
    model(|| {
        let ring = Arc::new(ReadyRing::new(2));
        let bytes = Arc::new([Bytes::new(), Bytes::new()]);
        let pushers: Vec<_> = (0..2u32)
            .map(|pusher| {
                let (ring, bytes) = (ring.clone(), bytes.clone());
                thread::spawn(move || {
                    bytes[pusher as usize].write(1);
                    ring.push(SlotIndex(pusher), || false).unwrap();
                })
            })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let mut batch = [SlotIndex(0); 2];
            let count = ring.pop_batch(&mut batch);
            if count == 0 {
                spin_hint();
            }
            for slot in &batch[..count] {
                assert_eq!(bytes[slot.index()].read(), 1, "what was written before the push is visible");
                seen.push(slot.0);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert!(ring.pop().is_none());
    });
}

/// A full ring whose popper is at it: the push waits for the cell and takes over whatever the popper did with the slot before.
///
/// Claims CHIP-070.
#[test]
fn loom_a_push_waits_for_a_slow_popper() {
    model(|| {
        let ring = Arc::new(ReadyRing::new(2));
        ring.push(SlotIndex(0), || false).unwrap();
        ring.push(SlotIndex(1), || false).unwrap();
        let popper = {
            let ring = ring.clone();
            thread::spawn(move || [pop_one(&ring), pop_one(&ring)])
        };
        ring.push(SlotIndex(2), || false).unwrap();
        assert_eq!(popper.join().unwrap(), [0, 1]);
        assert_eq!(pop_one(&ring), 2);
        assert!(ring.pop().is_none());
    });
}

/// Two poppers share what two pushes left; the cells go round.
#[test]
fn loom_two_poppers() {
    model(|| {
        let ring = Arc::new(ReadyRing::new(2));
        ring.push(SlotIndex(0), || false).unwrap();
        ring.push(SlotIndex(1), || false).unwrap();
        let other = {
            let ring = ring.clone();
            thread::spawn(move || ring.pop().map(|slot| slot.0))
        };
        let mine = ring.pop().map(|slot| slot.0);
        let theirs = other.join().unwrap();
        let rest = ring.pop().map(|slot| slot.0);
        let mut all: Vec<_> = [mine, theirs, rest].into_iter().flatten().collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1]);
    });
}

/// The same ring natively, with real threads and many rounds.
///
/// Claims CHIP-068.
#[cfg(not(loom))]
#[test]
fn a_ready_ring_loses_and_repeats_nothing() {
    let ring = ReadyRing::new(64);
    for _ in 0..3 {
        assert!(ring.pop().is_none());
    }
    for slot in 0..10 {
        ring.push(SlotIndex(slot), || false).unwrap();
    }
    let mut batch = [SlotIndex(0); 5];
    for first in [0, 5] {
        assert_eq!(ring.pop_batch(&mut batch), 5);
        assert!(batch.iter().enumerate().all(|(at, slot)| slot.0 == first + at as u32));
    }
    let small = ReadyRing::new(2);
    // Miri takes some ten thousand times as long, and looks at each access.
    const ITEMS: u32 = if cfg!(miri) { 400 } else { 1_000_000 };
    for round in 0..ITEMS {
        small.push(SlotIndex(round), || false).unwrap();
        small.push(SlotIndex(round + 1), || false).unwrap();
        assert_eq!([small.pop(), small.pop(), small.pop()], [Some(SlotIndex(round)), Some(SlotIndex(round + 1)), None]);
    }

    let seen: Vec<std::sync::atomic::AtomicU8> = (0..ITEMS).map(|_| Default::default()).collect();
    let taken = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|threads| {
        for pusher in 0..4 {
            let ring = &ring;
            threads.spawn(move || {
                for item in (pusher..ITEMS).step_by(4) {
                    // A ready ring has room for every slot there is; here four threads push more than that, so they wait for room.
                    while ring.len() >= 60 {
                        std::thread::yield_now();
                    }
                    ring.push(SlotIndex(item), || false).unwrap();
                }
            });
        }
        for _ in 0..4 {
            threads.spawn(|| {
                let mut batch = [SlotIndex(0); 8];
                while taken.load(std::sync::atomic::Ordering::Relaxed) < ITEMS {
                    let count = ring.pop_batch(&mut batch);
                    if count == 0 {
                        std::thread::yield_now();
                    }
                    for slot in &batch[..count] {
                        seen[slot.index()].fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                    taken.fetch_add(count as u32, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    assert!(seen.iter().all(|count| count.load(std::sync::atomic::Ordering::Relaxed) == 1));
}
