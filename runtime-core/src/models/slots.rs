//! Holds against reclaim, sub-task ends, and conditions that precede completion.

use super::{Bytes, prepare};
use crate::id::SlotIndex;
use crate::slot::SlotTable;
use crate::sync::{Arc, AtomicU32, Ordering, model, spin_hint, thread};

/// A slot is reused only when nobody holds it, and by then everything its holders did is done.
#[test]
fn loom_a_held_slot_is_not_reused() {
    model(|| {
        let slots = Arc::new(SlotTable::new(1));
        let bytes = Arc::new(Bytes::new());
        prepare(&slots, 0, 0, 1);
        // A consumer retains the slot beside its own execution.
        slots.hold(SlotIndex(0));
        let holders: Vec<_> = (0..2)
            .map(|_| {
                let (slots, bytes) = (slots.clone(), bytes.clone());
                thread::spawn(move || {
                    assert_eq!(bytes.read(), 0, "the bytes were reused while they were held");
                    slots.get(SlotIndex(0)).release();
                })
            })
            .collect();
        if slots.is_free(SlotIndex(0)) {
            bytes.write(1);
            prepare(&slots, 0, 1, 1);
        }
        for holder in holders {
            holder.join().unwrap();
        }
    });
}

/// Of the ends of all sub-tasks exactly one finishes the task, and it sees what the others wrote.
#[test]
fn loom_exactly_one_finishes() {
    model(|| {
        let slots = Arc::new(SlotTable::new(1));
        let bytes = Arc::new([Bytes::new(), Bytes::new()]);
        let finished = Arc::new(AtomicU32::new(0));
        prepare(&slots, 0, 0, 2);
        let end = |block: usize, slots: &SlotTable, bytes: &[Bytes; 2], finished: &AtomicU32| {
            bytes[block].write(1);
            if slots.get(SlotIndex(0)).end_subtasks(1) {
                assert_eq!((bytes[0].read(), bytes[1].read()), (1, 1));
                finished.fetch_add(1, Ordering::Relaxed);
            }
        };
        let other = {
            let (slots, bytes, finished) = (slots.clone(), bytes.clone(), finished.clone());
            thread::spawn(move || end(1, &slots, &bytes, &finished))
        };
        end(0, &slots, &bytes, &finished);
        other.join().unwrap();
        assert_eq!(finished.load(Ordering::Relaxed), 1);
    });
}

/// A block that registers a condition cannot be the one that finishes: the condition is counted before the block's share is given back, whoever
/// sees the condition hold and however soon.
#[test]
fn loom_conditions_precede_completion() {
    model(|| {
        let slots = Arc::new(SlotTable::new(1));
        let counter = Arc::new(AtomicU32::new(0));
        let registered = Arc::new(AtomicU32::new(0));
        let finished = Arc::new(AtomicU32::new(0));
        prepare(&slots, 0, 0, 1);
        let device = {
            let counter = counter.clone();
            thread::spawn(move || counter.store(1, Ordering::Release))
        };
        let watcher = {
            let (slots, counter, registered, finished) =
                (slots.clone(), counter.clone(), registered.clone(), finished.clone());
            thread::spawn(move || {
                while registered.load(Ordering::Acquire) == 0 {
                    spin_hint();
                }
                while counter.load(Ordering::Acquire) == 0 {
                    spin_hint();
                }
                if slots.get(SlotIndex(0)).end_subtasks(1) {
                    finished.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let slot = slots.get(SlotIndex(0));
        let early = cfg!(prewire_mutation = "defer_after_own_share");
        let mut ended = early && slot.end_subtasks(1);
        slot.defer(1);
        registered.store(1, Ordering::Release);
        ended |= !early && slot.end_subtasks(1);
        if ended {
            assert_eq!(counter.load(Ordering::Acquire), 1, "complete before its condition held");
            finished.fetch_add(1, Ordering::Relaxed);
        }
        device.join().unwrap();
        watcher.join().unwrap();
        assert_eq!(finished.load(Ordering::Relaxed), 1);
    });
}
