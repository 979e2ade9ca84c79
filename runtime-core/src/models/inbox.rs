//! The inbox of directed tasks: two routers, one owner; every task arrives once, with all that was written into its slot.

use super::{Bytes, prepare};
use crate::id::SlotIndex;
use crate::inbox::Inbox;
use crate::slot::SlotTable;
use crate::sync::{Arc, model, spin_hint, thread};

#[test]
fn loom_directed_tasks_arrive_whole() {
    model(|| {
        let slots = Arc::new(SlotTable::new(2));
        let inbox = Arc::new(Inbox::new());
        let bytes = Arc::new([Bytes::new(), Bytes::new()]);
        for slot in 0..2 {
            prepare(&slots, slot, slot as u64, 1);
        }
        let routers: Vec<_> = (0..2u32)
            .map(|router| {
                let (slots, inbox, bytes) = (slots.clone(), inbox.clone(), bytes.clone());
                thread::spawn(move || {
                    bytes[router as usize].write(1);
                    // SAFETY: this thread alone has the task.
                    unsafe { inbox.push(&slots, SlotIndex(router)) };
                })
            })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            if inbox.is_empty() {
                spin_hint();
            }
            inbox.take_all(&slots, |slot| {
                assert_eq!(bytes[slot.index()].read(), 1);
                seen.push(slot.0);
            });
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
        for router in routers {
            router.join().unwrap();
        }
    });
}
