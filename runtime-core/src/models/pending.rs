//! The pending count: of several producers and the orchestrator exactly one routes, behind the last link, and it sees what all producers wrote.

use super::{Bytes, prepare_with_edges};
use crate::id::SlotIndex;
use crate::slot::SlotTable;
use crate::sync::{Arc, AtomicU32, Ordering, model, thread};

/// Claims CHIP-059 (its model half).
#[test]
fn loom_exactly_one_routes() {
    model(|| {
        let slots = Arc::new(SlotTable::new(1));
        let bytes = Arc::new([Bytes::new(), Bytes::new()]);
        let routed = Arc::new(AtomicU32::new(0));
        let wired = Arc::new(AtomicU32::new(0));
        // The third edge leads to a producer that the orchestrator finds done.
        prepare_with_edges(&slots, 0, 0, 3);

        let route = |wired: &AtomicU32, bytes: &[Bytes; 2], routed: &AtomicU32| {
            assert_eq!(wired.load(Ordering::Relaxed), 1, "routed before its wiring was finished");
            assert_eq!((bytes[0].read(), bytes[1].read()), (10, 11), "the router sees what every producer wrote");
            routed.fetch_add(1, Ordering::Relaxed);
        };
        let producers: Vec<_> = (0..2)
            .map(|producer| {
                let (slots, bytes, routed, wired) = (slots.clone(), bytes.clone(), routed.clone(), wired.clone());
                thread::spawn(move || {
                    bytes[producer].write(10 + producer as u32);
                    if slots.get(SlotIndex(0)).arrive() {
                        route(&wired, &bytes, &routed);
                    }
                })
            })
            .collect();
        wired.store(1, Ordering::Relaxed);
        if slots.get(SlotIndex(0)).give_back(1) {
            route(&wired, &bytes, &routed);
        }
        for producer in producers {
            producer.join().unwrap();
        }
        assert_eq!(routed.load(Ordering::Relaxed), 1);
    });
}
