//! Parking: no wake-up is lost between "I am about to sleep" and "here is work".

use crate::id::SlotIndex;
use crate::ready::ReadyRing;
use crate::sync::{Arc, model, spin_hint, thread};
use crate::waiting::Bells;
use std::time::Duration;

#[test]
fn loom_no_wake_up_is_lost() {
    // Two pieces of work, so that a ringer may still be at the first wake-up when the sleeper has worked it off and sleeps again.
    model(|| {
        let ring = Arc::new(ReadyRing::new(2));
        let bells = Arc::new(Bells::new(1));
        let sleeper = {
            let (ring, bells) = (ring.clone(), bells.clone());
            thread::spawn(move || {
                let mut expected = 5;
                while expected < 7 {
                    if let Some(slot) = ring.pop() {
                        assert_eq!(slot, SlotIndex(expected));
                        expected += 1;
                    // Natively a lost wake-up would only cost the time-out; under loom there is none and the model would stand still.
                    } else if bells.sleep(1, Duration::from_millis(100), || !ring.is_empty()) {
                        // The pusher has its place and has yet to fill it.
                        spin_hint();
                    }
                }
            })
        };
        for slot in 5..7 {
            ring.push(SlotIndex(slot), || false).unwrap();
            if bells.idle() != 0 {
                bells.ring(0);
            }
        }
        sleeper.join().unwrap();
    });
}
