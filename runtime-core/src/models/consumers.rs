//! Closing a consumer list against a push: every consumer is released exactly once or told that the producer is done, and sees its bytes.

use super::{Bytes, prepare, write_edge};
use crate::consumers::{Ending, Pushed};
use crate::edge::EdgeTable;
use crate::id::SlotIndex;
use crate::slot::SlotTable;
use crate::sync::{Arc, AtomicU32, Ordering, model, thread};

/// Claims CHIP-060 (its model half) and CHIP-066.
#[test]
fn loom_push_against_close() {
    for ending in [Ending::Ok, Ending::Failed] {
        model(move || {
            let slots = Arc::new(SlotTable::new(3));
            let edges = Arc::new(EdgeTable::new(2));
            let bytes = Arc::new(Bytes::new());
            let released = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
            prepare(&slots, 0, 0, 1);

            let closer = {
                let (slots, edges, bytes, released) = (slots.clone(), edges.clone(), bytes.clone(), released.clone());
                thread::spawn(move || {
                    bytes.write(7);
                    // SAFETY: this thread alone closes the list, once.
                    for edge in unsafe { slots.get(SlotIndex(0)).consumers.close(&edges, ending) } {
                        released[edge.consumer.index() - 1].fetch_add(1, Ordering::Relaxed);
                    }
                })
            };
            let mut told = [false; 2];
            for consumer in 0..2u32 {
                let edge = write_edge(&edges, consumer, consumer + 1, 0);
                // SAFETY: this thread is the orchestrator, the edge is on no list.
                match unsafe { slots.get(SlotIndex(0)).consumers.push(&edges, edge) } {
                    Pushed::Linked => {}
                    Pushed::Closed(how) => {
                        assert_eq!(how, ending);
                        assert_eq!(bytes.read(), 7, "a producer that is done has written");
                        told[consumer as usize] = true;
                    }
                }
            }
            closer.join().unwrap();
            for consumer in 0..2 {
                let released = released[consumer].load(Ordering::Relaxed);
                assert_eq!(released + told[consumer] as u32, 1, "consumer {consumer}");
            }
        });
    }
}

#[test]
fn loom_consumers_come_in_the_order_of_their_submission() {
    model(|| {
        let slots = SlotTable::new(4);
        let edges = EdgeTable::new(3);
        prepare(&slots, 0, 0, 1);
        for consumer in 1..4 {
            let edge = write_edge(&edges, consumer - 1, consumer, 0);
            // SAFETY: single thread, edge on no list.
            assert_eq!(unsafe { slots.get(SlotIndex(0)).consumers.push(&edges, edge) }, Pushed::Linked);
        }
        // SAFETY: closed once.
        let mut walk = unsafe { slots.get(SlotIndex(0)).consumers.close(&edges, Ending::Ok) };
        assert_eq!(walk.next().map(|edge| edge.consumer.0), Some(1));
        // SAFETY: the table the list was closed with.
        let walk = unsafe { walk.pause().resume(&edges) };
        assert_eq!(walk.map(|edge| edge.consumer.0).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(slots.get(SlotIndex(0)).consumers.ending(), Some(Ending::Ok));
    });
}
