//! Goal: the figures of hand-made runs are those that were worked out by hand.

use super::{Overhead, Quality};
use crate::{BlockRecord, Chip, CoreId, KernelId, RingIndex, TaskId};
use prewire_runtime_core::port::Token;

fn task(number: u64) -> TaskId {
    TaskId::new(RingIndex(0), number)
}

/// A chip of one cluster has core 0 of the kind cube and cores 1 and 2 of the kind vector.
fn block(core: u16, number: u64, dispatch_ns: u64, start_ns: u64, end_ns: u64) -> BlockRecord {
    let part = core as u8;
    BlockRecord {
        core: CoreId(core),
        task: task(number),
        kernel: KernelId(0),
        block: 0,
        part,
        token: Token::FIRST,
        dispatch_ns,
        start_ns,
        end_ns,
    }
}

/// Claims CHIP-178.
#[test]
fn overhead_is_what_it_was_worked_out_to_be_by_hand() {
    let chip = Chip::A2a3.spec().with_clusters(1);
    let blocks = [
        // No producer: ready when it is dispatched, so it never waits.
        block(0, 0, 900, 1000, 2000),
        block(1, 1, 950, 1000, 1400),
        // A vector task behind task 0, ready at 2000 and dispatched at 2300: vector cores idle all the while. 300.
        block(1, 2, 2300, 2400, 3000),
        // A cube task behind task 1, ready at 1400 and dispatched at 2100; the cube core is busy up to 2000. 100 from 2000 to 2100.
        block(0, 3, 2100, 2200, 2800),
        // A task of both kinds behind task 2, ready at 3000. Its cube part goes at 3100, its vector part at 3150, so it waits for both kinds up
        // to 3150; both kinds have an idle core all the while. 150 each.
        block(0, 4, 3100, 3200, 5000),
        block(2, 4, 3150, 3200, 4000),
        // Behind task 9, which has no block and waits for task 2: ready at 3000, dispatched at 3160. Vector, 10 more than the task before.
        block(1, 5, 3160, 3300, 3500),
    ];
    let edges = [(task(0), task(2)), (task(1), task(3)), (task(2), task(4)), (task(2), task(9)), (task(9), task(5))];
    let quality = Quality::of_blocks(&chip, &blocks, &edges).unwrap();
    assert_eq!(quality.makespan_ns, 4000);
    let share = |ns: u32| f64::from(ns) / 4000.0;
    // Both at once: 2000 to 2100, and 3000 to 3150.
    let expected = Overhead { cube: share(250), vector: share(460), both: share(250), either: share(460) };
    assert_eq!(quality.overhead, expected);
    // Tasks 0, 2 and 4: 1000, 600 and 1800.
    assert_eq!(quality.critical_path_ns, 3400);
    assert_eq!(quality.work_ns, [1000 + 600 + 1800, (400 + 600 + 800 + 200) / 2]);
    assert_eq!(quality.bound_ns(), 3400);
    assert_eq!(quality.busy, [3400.0 / 4000.0, 2000.0 / 8000.0]);
}

#[test]
fn a_core_that_is_busy_and_a_kind_that_nobody_waits_for_have_no_overhead() {
    let chip = Chip::A2a3.spec().with_clusters(1);
    // Task 1 is ready at 100 and waits until 1000, when the only cube core becomes free; it was pre-loaded at 900.
    let blocks = [block(1, 0, 0, 0, 100), block(0, 2, 0, 0, 1000), block(0, 1, 900, 1000, 1100)];
    let quality = Quality::of_blocks(&chip, &blocks, &[(task(0), task(1))]).unwrap();
    assert_eq!(quality.overhead, Overhead::default());
    assert_eq!(Quality::of_blocks(&chip, &[], &[]), None);
}
