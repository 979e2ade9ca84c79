//! Failure marking against readiness: whoever routes a task knows of every failure among its producers, and keeps the earliest.

use super::prepare_with_edges;
use crate::id::SlotIndex;
use crate::slot::{NO_CAUSE, SlotTable};
use crate::sync::{Arc, AtomicU64, Ordering, model, thread};

#[test]
fn loom_the_router_knows_every_failure() {
    model(|| {
        let slots = Arc::new(SlotTable::new(1));
        let seen = Arc::new(AtomicU64::new(NO_CAUSE));
        prepare_with_edges(&slots, 0, 9, 2);
        let finish = |cause: u64, slots: &SlotTable, seen: &AtomicU64| {
            let slot = slots.get(SlotIndex(0));
            let late = cfg!(prewire_mutation = "blame_after_arrival");
            if !late {
                slot.blame(cause);
            }
            if slot.arrive() {
                seen.store(slot.cause(), Ordering::Relaxed);
            }
            if late {
                slot.blame(cause);
            }
        };
        let other = {
            let (slots, seen) = (slots.clone(), seen.clone());
            thread::spawn(move || finish(3, &slots, &seen))
        };
        finish(5, &slots, &seen);
        other.join().unwrap();
        assert_eq!(seen.load(Ordering::Relaxed), 3, "the earliest failed submission");
    });
}
