//! The storm of `cargo xtask chaos`, a short one: workers killed and stopped at random under random graphs.

#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../examples/chaos.rs"]
mod chaos;

use std::time::Duration;

/// Every run is right or fails by naming a worker, and nothing is left behind; a few seconds of what `cargo xtask chaos` does for longer.
#[test]
fn a_short_storm_loses_nothing() {
    let tally = chaos::storm(Duration::from_secs(4), 11).unwrap_or_else(|error| panic!("{error}"));
    assert!(tally.right > 0 && tally.kills > 0, "{tally:?}");
}

/// The same for a minute.
///
/// Claims HOST-107.
#[test]
#[ignore = "it takes a minute: `cargo xtask verify` runs it"]
fn a_minute_of_storm_loses_nothing() {
    let tally = chaos::storm(Duration::from_secs(60), 107).unwrap_or_else(|error| panic!("{error}"));
    assert!(tally.right > 0 && tally.failed > 0 && tally.kills > 100, "{tally:?}");
}
