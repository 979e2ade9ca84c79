//! The tracker as a plain value: no threads, no platform.

use super::*;

const CUBE: CoreKind = CoreKind::Cube;
const VECTOR: CoreKind = CoreKind::Vector;
const ALL: Parts = Parts(7);

fn place(cluster: usize, part: usize) -> Place {
    Place::new(cluster, part)
}

#[test]
fn a_core_goes_from_idle_over_running_and_open_to_full_and_back() {
    let mut tracker = Tracker::new(2);
    let core = place(1, 2);
    assert_eq!((tracker.free_cores(CUBE), tracker.free_cores(VECTOR)), (2, 4));
    tracker.started(core);
    assert!(!tracker.is_idle(core) && tracker.choose_open(VECTOR).is_none());
    assert_eq!(tracker.busy().collect::<Vec<_>>(), [core]);
    tracker.opened(core);
    assert_eq!((tracker.choose_open(VECTOR), tracker.open_cores(VECTOR)), (Some(core), 1));
    tracker.filled(core);
    assert_eq!((tracker.choose_open(VECTOR), tracker.open_cores(VECTOR)), (None, 0));
    tracker.freed(core);
    assert!(tracker.is_idle(core) && tracker.busy().next().is_none());
}

#[test]
fn all_clusters_up_to_the_widest_are_found() {
    for clusters in [1, 21, 22, 24, 36, MOST_CLUSTERS] {
        let mut tracker = Tracker::new(clusters);
        for expected in 0..clusters {
            assert_eq!(tracker.choose_cluster(ALL), Some(expected));
            (0..3).for_each(|part| tracker.started(place(expected, part)));
        }
        assert_eq!(tracker.choose_cluster(ALL), None);
        assert_eq!(tracker.busy().count(), 3 * clusters);
        assert_eq!(tracker.summary(), 0);
    }
}

#[test]
fn a_warm_core_comes_first_and_then_the_lowest_cluster() {
    let mut tracker = Tracker::new(3);
    assert_eq!(tracker.choose(VECTOR, place(2, 2)), Some(place(2, 2)));
    tracker.started(place(2, 2));
    assert_eq!(tracker.choose(VECTOR, place(2, 2)), Some(place(0, 1)));
    tracker.started(place(0, 1));
    assert_eq!(tracker.choose(VECTOR, place(2, 2)), Some(place(0, 2)));
    assert_eq!(tracker.choose(CUBE, place(0, 0)), Some(place(0, 0)));
}

#[test]
fn cores_take_turns() {
    let mut tracker = Tracker::new(3);
    tracker.started(place(1, 1));
    let mut last = place(0, 1);
    let mut turns = Vec::new();
    for _ in 0..6 {
        last = tracker.choose_next(VECTOR, last).unwrap();
        turns.push((last.cluster, last.part));
    }
    assert_eq!(turns, [(0, 2), (1, 2), (2, 1), (2, 2), (0, 1), (0, 2)]);
    assert_eq!(tracker.choose_next(CUBE, place(2, 0)), Some(place(0, 0)));
    let widest = Tracker::new(MOST_CLUSTERS);
    assert_eq!(widest.choose_next(CUBE, place(MOST_CLUSTERS - 1, 0)), Some(place(0, 0)));
}

#[test]
fn only_the_cores_that_a_block_uses_matter() {
    let mut tracker = Tracker::new(2);
    tracker.started(place(0, 2));
    assert_eq!(tracker.free_clusters(Parts(3)), 0b11, "the busy second vector core is not used");
    assert_eq!(tracker.free_clusters(Parts(6)), 0b10);
    assert_eq!(tracker.choose_cluster(Parts(3)), Some(0), "a whole cluster stays free");
}

#[test]
fn a_reserved_cluster_takes_no_single_blocks() {
    let mut tracker = Tracker::new(3);
    for cluster in 0..3 {
        tracker.started(place(cluster, 0));
    }
    tracker.started(place(0, 1));
    tracker.reserve_cluster(ALL);
    assert!(tracker.is_kept_free(place(1, 0)) && !tracker.is_kept_free(place(2, 0)), "the one with most idle cores");
    assert_eq!(tracker.free_cores(VECTOR), 3);
    tracker.reserve_cluster(ALL);
    assert!(!tracker.is_kept_free(place(2, 1)), "one at a time");
    tracker.freed(place(1, 0));
    assert_eq!(tracker.free_cores(CUBE), 0);
    assert_eq!(tracker.choose_cluster(ALL), Some(1));
    tracker.unreserve_cluster();
    assert_eq!((tracker.free_cores(CUBE), tracker.free_cores(VECTOR)), (1, 5));
}

#[test]
fn a_gathering_gang_keeps_its_kinds_to_itself() {
    let mut tracker = Tracker::new(2);
    tracker.started(place(0, 1));
    tracker.opened(place(0, 1));
    tracker.gather(Kinds::of(Parts::VECTOR_0));
    assert_eq!((tracker.free_cores(CUBE), tracker.free_cores(VECTOR), tracker.open_cores(VECTOR)), (2, 0, 0));
    assert!(!tracker.has_partly_free_cluster(), "every pair of cores uses a vector core");
    assert_eq!(tracker.gang_places(Parts::VECTOR_0), 3);
    assert_eq!(tracker.gang_places(ALL), 1);
    tracker.gather_nothing();
    assert_eq!(tracker.free_cores(VECTOR), 3);
}

#[test]
fn kinds_meet_where_parts_use_the_same_kind_of_core() {
    assert!(Kinds::of(Parts::VECTOR_0).meet(Kinds::of(Parts::VECTOR_1)));
    assert!(!Kinds::of(Parts::CUBE).meet(Kinds::of(Parts(6))));
    assert!(Kinds::of(Parts(7)).meet(Kinds::of(Parts::CUBE)));
    assert_eq!(Kinds::of(Parts::CUBE).with(Kinds::of(Parts::VECTOR_1)), Kinds::of(Parts(5)));
}

/// A host's workers are cores of two kinds in any proportion, and each may be away for a while or for good.
#[test]
fn cores_that_are_missing_down_or_gone_are_not_chosen() {
    let mut tracker = Tracker::new(2);
    tracker.remove(Place::new(0, 0));
    tracker.remove(Place::new(1, 0));
    tracker.remove(Place::new(1, 2));
    assert_eq!((tracker.free_cores(CUBE), tracker.free_cores(VECTOR)), (0, 3));
    assert!(tracker.busy().next().is_none() && tracker.gang_places(Parts::CUBE) == 0);

    let [first, second, third] = [Place::new(0, 1), Place::new(0, 2), Place::new(1, 1)];
    tracker.set_availability(first, Availability::Gone);
    tracker.set_availability(second, Availability::Down);
    assert_eq!(tracker.free_cores(VECTOR), 1);
    assert_eq!(
        tracker.choose_next(VECTOR, third),
        Some(third),
        "a core that is gone or down takes nothing of its own accord"
    );
    assert!(tracker.is_able(first) && !tracker.is_able(second), "what names a core that is gone ends there");
    assert_eq!(tracker.choose_for_gang(Parts::VECTOR_0), Some(third), "a gang takes a core that is gone last");

    tracker.set_availability(second, Availability::Gone);
    tracker.set_availability(third, Availability::Gone);
    assert_eq!(tracker.free_cores(VECTOR), 3, "with all of a kind gone, work for any of them ends on them");
    tracker.set_availability(second, Availability::Up);
    assert_eq!(tracker.choose_next(VECTOR, third), Some(second));
}
