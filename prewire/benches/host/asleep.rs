//! From cold: everybody sleeps, and one task wakes all whom it needs.

use crate::bare::Peer;
use crate::figures::{median, run, start};
use crate::row::Row;
use std::error::Error;
use std::time::Duration;

/// Round trips of each kind in a round.
const ROUND_TRIPS: usize = 20;
/// Long enough for everybody to fall asleep.
const PAUSE: Duration = Duration::from_millis(5);

/// Prints HOST-134.
pub(crate) fn round_trips(rounds: usize) -> Result<Vec<Row>, Box<dyn Error>> {
    let bare = Peer::start()?;
    let (mut host, nothing) = start(1)?;
    let (mut cold, mut futex) = (Vec::new(), Vec::new());
    run(&mut host, nothing, 1000);
    for _ in 0..rounds {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUND_TRIPS {
            std::thread::sleep(PAUSE);
            ours.push(run(&mut host, nothing, 1));
            std::thread::sleep(PAUSE);
            theirs.push(bare.sleeping_round_trip());
        }
        cold.push(median(&ours));
        futex.push(median(&theirs));
    }
    host.close()?;
    let (cold, futex) = (median(&cold), median(&futex));
    let what = "from cold, one empty task, to a futex ping-pong with both asleep";
    Ok(vec![Row::new("HOST-134", what, format!("{cold:.1} µs to {futex:.1} µs"), cold / futex).at_most(1.5)])
}
