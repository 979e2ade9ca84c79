//! The walk of a closed list against its consumers: a released consumer may run, be reclaimed and have its slot and edge reused while the walker is
//! still at it.

use super::{prepare, prepare_with_edges, write_edge};
use crate::consumers::{Ending, Pushed};
use crate::edge::EdgeTable;
use crate::id::SlotIndex;
use crate::slot::SlotTable;
use crate::sync::{Arc, model, thread};

/// Claims CHIP-061 (its model half).
#[test]
fn loom_the_walk_survives_its_consumers() {
    model(|| {
        // Slot 0 is the producer, 1 and 2 its consumers through edges 0 and 1, slot 3 another producer that the new task of slot 1 will wait for.
        let slots = Arc::new(SlotTable::new(4));
        let edges = Arc::new(EdgeTable::new(2));
        for (slot, edges) in (0..4).zip([0, 1, 1, 0]) {
            prepare_with_edges(&slots, slot, u64::from(slot), edges);
        }
        for consumer in 1..3 {
            let edge = write_edge(&edges, consumer - 1, consumer, 0);
            // SAFETY: single thread so far, edge on no list.
            assert_eq!(unsafe { slots.get(SlotIndex(0)).consumers.push(&edges, edge) }, Pushed::Linked);
        }
        let walker = {
            let (slots, edges) = (slots.clone(), edges.clone());
            thread::spawn(move || {
                let mut ready = Vec::new();
                // SAFETY: this thread alone closes the list, once.
                for edge in unsafe { slots.get(SlotIndex(0)).consumers.close(&edges, Ending::Ok) } {
                    let consumer = slots.get(edge.consumer);
                    assert!(consumer.arrive());
                    ready.push(edge.consumer.0);
                    // The consumer runs and is released at once.
                    consumer.release();
                }
                assert_eq!(ready, [1, 2], "each consumer once, in order");
            })
        };
        // The orchestrator finds the first consumer's slot free and gives it, with its edge, to a new task behind the other producer.
        if slots.is_free(SlotIndex(1)) {
            prepare(&slots, 1, 4, 1);
            let edge = write_edge(&edges, 0, 1, 3);
            // SAFETY: this thread is the orchestrator; the edge went with its reclaimed task.
            assert_eq!(unsafe { slots.get(SlotIndex(3)).consumers.push(&edges, edge) }, Pushed::Linked);
        }
        walker.join().unwrap();
    });
}
