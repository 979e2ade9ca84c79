//! The cancellation word: the first fatal cause wins, whoever saw it, and is never overwritten.

use crate::error::{ErrorCode, Fatal};
use crate::run::RunState;
use crate::sync::{Arc, model, thread};

/// Claims CHIP-143 (its model half).
#[test]
fn loom_the_first_fatal_wins() {
    model(|| {
        let run = Arc::new(RunState::default());
        run.begin(7);
        let other = {
            let run = run.clone();
            thread::spawn(move || run.latch(Fatal::GangTooLarge { requested: 9, available: 8 }))
        };
        let mine = run.latch(Fatal::Explicit { text: String::new() });
        let theirs = other.join().unwrap();
        assert!(mine != theirs, "exactly one is the first");
        let expected = if mine { ErrorCode::ExplicitFatal } else { ErrorCode::GangTooLarge };
        assert_eq!(run.fatal().unwrap().code(), expected);
        assert_eq!(run.notes().len(), 1, "the later one is a note");
        assert!(run.is_cancelled() && run.is_over(7));
        run.begin(8);
        assert!(run.is_over(7) && !run.is_over(8), "a late kernel sees its own run's end only");
    });
}
