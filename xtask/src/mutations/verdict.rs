//! What the run of a test under a weakening shows.

use std::fmt;
use std::os::unix::process::ExitStatusExt;

use crate::process::Ended;

/// What became of a weakening, or of a test without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The test saw it, in the way told.
    Killed(String),
    /// The test ran and passed.
    Survived,
    /// The test did not end in time, and was not expected to hang.
    RanOutOfTime,
    /// Nothing can be concluded, for the reason told.
    Unusable(String),
}

impl Verdict {
    pub(super) fn is_kill(&self) -> bool {
        matches!(self, Self::Killed(_))
    }

    /// What the verdict says of a run without a weakening.
    pub(super) fn of_the_right_source(&self) -> &str {
        match self {
            Self::Killed(how) => how,
            Self::Survived => "the test passes",
            Self::RanOutOfTime => "the test does not end in time",
            Self::Unusable(reason) => reason,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(how) => write!(formatter, "killed ({how})"),
            Self::Survived => formatter.write_str("SURVIVED"),
            Self::RanOutOfTime => formatter.write_str("RAN OUT OF TIME, and the table does not say that it hangs"),
            Self::Unusable(reason) => write!(formatter, "UNUSABLE: {reason}"),
        }
    }
}

/// Judges by how the test program ended and what it printed.
pub(super) fn judge(ended: &Ended, printed: &str, hangs: bool) -> Verdict {
    let status = match ended {
        Ended::TimedOut if hangs => return Verdict::Killed("it hangs, as it should".to_owned()),
        Ended::TimedOut => return Verdict::RanOutOfTime,
        Ended::Status(status) => status,
    };
    if tests_begun(printed) == 0 {
        return Verdict::Unusable("no test has such a name".to_owned());
    }
    if status.success() {
        return Verdict::Survived;
    }
    if let Some(signal) = status.signal() {
        return Verdict::Killed(format!("the test process died of signal {signal}"));
    }
    if printed.contains("test result: FAILED") {
        return Verdict::Killed("the test fails".to_owned());
    }
    Verdict::Unusable(format!("ended with {status}, but no test reported a failure"))
}

/// How many tests the harness says it is running.
fn tests_begun(printed: &str) -> usize {
    let count = |line: &str| line.strip_prefix("running ")?.split(' ').next()?.parse::<usize>().ok();
    printed.lines().filter_map(count).sum()
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    /// The wait status of a process that exited with this code.
    fn exit(code: i32) -> Ended {
        Ended::Status(ExitStatus::from_raw(code << 8))
    }

    const RED: &str = "\nrunning 1 test\ntest a ... FAILED\n\ntest result: FAILED. 0 passed; 1 failed\n";
    const GREEN: &str = "\nrunning 2 tests\ntest a ... ok\n\ntest result: ok. 2 passed; 0 failed\n";

    #[test]
    fn a_failing_test_is_a_kill_and_a_passing_one_is_not() {
        assert!(judge(&exit(101), RED, false).is_kill());
        assert_eq!(judge(&exit(0), GREEN, false), Verdict::Survived);
    }

    #[test]
    fn a_filter_that_matches_nothing_proves_nothing() {
        let printed = "\nrunning 0 tests\n\ntest result: ok. 0 passed; 0 failed; 3 filtered out\n";
        assert!(matches!(judge(&exit(0), printed, false), Verdict::Unusable(_)));
    }

    #[test]
    fn a_run_out_of_time_counts_only_where_the_table_says_so() {
        assert_eq!(judge(&Ended::TimedOut, "running 1 test\n", false), Verdict::RanOutOfTime);
        assert!(judge(&Ended::TimedOut, "running 1 test\n", true).is_kill());
        // Ending well is no kill even where a hang was expected.
        assert_eq!(judge(&exit(0), GREEN, true), Verdict::Survived);
    }

    #[test]
    fn death_by_a_signal_is_a_kill_and_an_exit_without_a_failed_test_is_not() {
        assert!(judge(&Ended::Status(ExitStatus::from_raw(6)), "running 1 test\n", false).is_kill());
        assert!(matches!(judge(&exit(3), "running 1 test\n", false), Verdict::Unusable(_)));
    }
}
