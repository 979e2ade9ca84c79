//! The gate of a run: the task that waits at it gets its last arrival once, from whoever comes second.

use super::prepare;
use crate::gate::RunGate;
use crate::id::SlotIndex;
use crate::slot::SlotTable;
use crate::sync::{Arc, AtomicU32, Ordering, UnsafeCell, model, thread};

/// What the one who opens the gate has done before, for loom to watch.
struct Machine(UnsafeCell<u32>);

// SAFETY: the model is about whether accesses to it are ordered; loom checks them.
unsafe impl Sync for Machine {}

#[test]
fn loom_the_task_at_a_gate_becomes_ready_once() {
    model(|| {
        let slots = Arc::new(SlotTable::new(1));
        let gate = Arc::new(RunGate::default());
        gate.begin(false);
        let machine = Arc::new(Machine(UnsafeCell::new(0)));
        let ready = Arc::new(AtomicU32::new(0));
        let opener = {
            let (slots, gate, machine, ready) = (slots.clone(), gate.clone(), machine.clone(), ready.clone());
            thread::spawn(move || {
                // SAFETY: before the gate is open nobody else looks.
                machine.0.with_mut(|machine| unsafe { *machine = 8 });
                if let Some(slot) = gate.open() {
                    // SAFETY: the task was published by the wait at the gate.
                    assert_eq!({ unsafe { slots.get(slot).body() }.id }.to_bits(), 5);
                    assert!(slots.get(slot).arrive(), "the gate's is the last arrival");
                    ready.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        prepare(&slots, 0, 5, 1);
        slots.get(SlotIndex(0)).expect(1);
        if !gate.wait_at(SlotIndex(0)) {
            // SAFETY: ordered by the gate, which is what is tested.
            assert_eq!(machine.0.with(|machine| unsafe { *machine }), 8);
            assert!(slots.get(SlotIndex(0)).arrive());
            ready.fetch_add(1, Ordering::Relaxed);
        }
        opener.join().unwrap();
        assert_eq!(ready.load(Ordering::Relaxed), 1, "ready once, whoever came second");
        assert!(gate.is_open());
    });
}
