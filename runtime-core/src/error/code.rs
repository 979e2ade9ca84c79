//! The numbers of errors, their names, what they mean and what helps. 6, 10 and 104 are reserved: nothing raises them.

use std::fmt;

/// The number of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum ErrorCode {
    /// One scope holds more than its ring's window.
    ScopeDeadlock = 1,
    /// The output heap cannot make room.
    HeapDeadlock = 2,
    /// The task window cannot advance.
    WindowDeadlock = 3,
    /// The edge pool cannot make room.
    EdgePoolOverflow = 4,
    /// A submit or another call was refused.
    InvalidArguments = 5,
    /// A gang does not fit the chip.
    GangTooLarge = 7,
    /// A data access waited too long.
    DataWaitTimeout = 8,
    /// The orchestration ended the run.
    ExplicitFatal = 9,
    /// The dependency index cannot make room.
    IndexOverflow = 11,
    /// The watchdog ended the run.
    SchedulerTimeout = 100,
    /// A kernel registered a condition that cannot be watched.
    DeferredInvalid = 101,
    /// A kernel registered too many conditions.
    DeferredOverflow = 102,
    /// A kernel's registration of conditions is malformed.
    DeferredMalformed = 103,
}

impl ErrorCode {
    /// All codes, ascending.
    pub const ALL: [ErrorCode; 13] = [
        ErrorCode::ScopeDeadlock,
        ErrorCode::HeapDeadlock,
        ErrorCode::WindowDeadlock,
        ErrorCode::EdgePoolOverflow,
        ErrorCode::InvalidArguments,
        ErrorCode::GangTooLarge,
        ErrorCode::DataWaitTimeout,
        ErrorCode::ExplicitFatal,
        ErrorCode::IndexOverflow,
        ErrorCode::SchedulerTimeout,
        ErrorCode::DeferredInvalid,
        ErrorCode::DeferredOverflow,
        ErrorCode::DeferredMalformed,
    ];

    /// The number.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The code with this number. Reserved and unknown numbers have none: no name is guessed.
    pub fn from_number(number: u16) -> Option<ErrorCode> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// The fixed name.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorCode::ScopeDeadlock => "SCOPE_DEADLOCK",
            ErrorCode::HeapDeadlock => "HEAP_RING_DEADLOCK",
            ErrorCode::WindowDeadlock => "FLOW_CONTROL_DEADLOCK",
            ErrorCode::EdgePoolOverflow => "DEP_POOL_OVERFLOW",
            ErrorCode::InvalidArguments => "INVALID_ARGS",
            ErrorCode::GangTooLarge => "REQUIRE_SYNC_START_INVALID",
            ErrorCode::DataWaitTimeout => "TENSOR_WAIT_TIMEOUT",
            ErrorCode::ExplicitFatal => "EXPLICIT_ORCH_FATAL",
            ErrorCode::IndexOverflow => "TENSORMAP_OVERFLOW",
            ErrorCode::SchedulerTimeout => "SCHEDULER_TIMEOUT",
            ErrorCode::DeferredInvalid => "ASYNC_COMPLETION_INVALID",
            ErrorCode::DeferredOverflow => "ASYNC_WAIT_OVERFLOW",
            ErrorCode::DeferredMalformed => "ASYNC_REGISTRATION_FAILED",
        }
    }

    /// What it means, in a few words.
    pub const fn text(self) -> &'static str {
        match self {
            ErrorCode::ScopeDeadlock => "one scope holds as many tasks with outputs as its ring has slots",
            ErrorCode::HeapDeadlock => "the ring's heap cannot make room for the outputs",
            ErrorCode::WindowDeadlock => "the ring's task window cannot advance",
            ErrorCode::EdgePoolOverflow => "the ring's edge pool cannot make room for the dependencies",
            ErrorCode::InvalidArguments => "a call was refused for its arguments",
            ErrorCode::GangTooLarge => "a gang needs more cores than the chip has",
            ErrorCode::DataWaitTimeout => "a data access waited longer than its budget",
            ErrorCode::ExplicitFatal => "the orchestration ended the run",
            ErrorCode::IndexOverflow => "the dependency index cannot make room",
            ErrorCode::SchedulerTimeout => "the watchdog found that the run makes no progress",
            ErrorCode::DeferredInvalid => "a kernel registered a condition that cannot be watched",
            ErrorCode::DeferredOverflow => "a kernel registered more conditions than one dispatch may",
            ErrorCode::DeferredMalformed => "a kernel's registration of conditions is malformed",
        }
    }

    /// What helps.
    pub const fn hint(self) -> &'static str {
        match self {
            ErrorCode::ScopeDeadlock => {
                "split the scope, or raise PREWIRE_RING_TASK_WINDOW (builder: ring_task_window)"
            }
            ErrorCode::HeapDeadlock => "close scopes earlier, or raise PREWIRE_RING_HEAP (builder: ring_heap)",
            ErrorCode::WindowDeadlock => {
                "close outer scopes earlier, or raise PREWIRE_RING_TASK_WINDOW (builder: ring_task_window)"
            }
            ErrorCode::EdgePoolOverflow => {
                "retain fewer producers, or raise PREWIRE_RING_DEP_POOL (builder: ring_dep_pool)"
            }
            ErrorCode::InvalidArguments => "correct the argument that the message names",
            ErrorCode::GangTooLarge => "ask the run for its core counts and size gangs by them",
            ErrorCode::DataWaitTimeout => {
                "look at the task the message names, or raise PREWIRE_DATA_WAIT_MS (builder: data_wait)"
            }
            ErrorCode::ExplicitFatal => "the text is the orchestration's own",
            ErrorCode::IndexOverflow => "close scopes earlier, or raise PREWIRE_INDEX_ENTRIES (builder: index_entries)",
            ErrorCode::SchedulerTimeout => {
                "look at the stuck tasks; give slow tasks a budget of their own, call alive() in their kernels, or raise PREWIRE_WATCHDOG_MS (builder: watchdog)"
            }
            ErrorCode::DeferredInvalid => "register counters that lie in device memory",
            ErrorCode::DeferredOverflow => "register at most 64 conditions per dispatch",
            ErrorCode::DeferredMalformed => "register conditions through the kernel's context only",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Claims CHIP-142.
    #[test]
    fn every_code_has_its_number_name_text_and_hint() {
        let numbers: Vec<u16> = ErrorCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 7, 8, 9, 11, 100, 101, 102, 103]);
        assert!(ErrorCode::ALL.iter().map(|code| code.name()).collect::<HashSet<_>>().len() == ErrorCode::ALL.len());
        assert!(ErrorCode::ALL.iter().all(|code| !code.text().is_empty() && !code.hint().is_empty()));
        for number in [0, 6, 10, 12, 99, 104, 65535] {
            assert_eq!(ErrorCode::from_number(number), None, "{number} must not get a guessed name");
        }
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_number(code.number()), Some(code));
        }
    }
}
