//! What a run left behind, beside what it should have.

use super::interpreter::Outcome;
use super::runner::Ran;

/// What is not as it should be.
pub(crate) fn difference(ran: &Ran, expected: &Outcome) -> Option<String> {
    let Ran { outcome: found, blamed, report } = ran;
    if found.ran != expected.ran {
        let (more, less) = (found.ran.difference(&expected.ran), expected.ran.difference(&found.ran));
        let (more, less): (Vec<_>, Vec<_>) = (more.collect(), less.collect());
        return Some(format!("tasks {more:?} should not have run and did, tasks {less:?} should have and did not"));
    }
    if (&found.failed, found.unrun, found.tasks) != (&expected.failed, expected.unrun, expected.tasks) {
        let told =
            |outcome: &Outcome| format!("{:?} of {} failed, {} unrun", outcome.failed, outcome.tasks, outcome.unrun);
        return Some(format!("{}, and not {}", told(found), told(expected)));
    }
    if (report.failed, report.completed) != (found.failed.len() as u64, report.tasks) {
        let (reported, failed) = (report.failed, found.failed.len());
        let (completed, tasks) = (report.completed, report.tasks);
        return Some(format!("{reported} of {failed} failures are reported, {completed} of {tasks} tasks completed"));
    }
    if report.rings.iter().any(|ring| ring.left != (0, 0, 0)) {
        return Some("the rings are not empty behind the run".to_owned());
    }
    if *blamed != expected.failed.first().copied() {
        return Some(format!("task {blamed:?} is blamed, and the first that failed is {:?}", expected.failed.first()));
    }
    if let Some(place) = (0..found.accesses.len()).find(|&at| found.accesses[at] != expected.accesses[at]) {
        return Some(format!("access {place}: {:?} and not {:?}", found.accesses[place], expected.accesses[place]));
    }
    for (buffer, (found, expected)) in found.external.iter().zip(&expected.external).enumerate() {
        let differs = |&place: &usize| expected[place].is_some() && found[place] != expected[place];
        if let Some(place) = (0..found.len()).find(differs) {
            return Some(format!(
                "buffer {buffer}, element {place}: {:x?} and not {:x?}",
                found[place], expected[place]
            ));
        }
    }
    None
}
