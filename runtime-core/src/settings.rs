//! The one table of settings: what may be set, where, and what it is when nobody says.
//!
//! Error texts, the program's reference and the README name settings; a check compares them with this table, so that a hint is always true.

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The environment variable.
    pub environment: &'static str,
    /// The builder's option of the same meaning.
    pub builder: &'static str,
    /// What is accepted.
    pub accepts: &'static str,
    /// What holds when neither is given.
    pub default: &'static str,
    /// What it is for.
    pub meaning: &'static str,
}

/// Slots per ring.
pub const RING_TASK_WINDOW: Setting = Setting {
    environment: "PREWIRE_RING_TASK_WINDOW",
    builder: "ring_task_window",
    accepts: "a power of two from 4 to 2^24, or four of them separated by commas",
    default: "16384",
    meaning: "tasks alive at once, per ring",
};

/// Heap bytes per ring.
pub const RING_HEAP: Setting = Setting {
    environment: "PREWIRE_RING_HEAP",
    builder: "ring_heap",
    accepts: "bytes from 1024 up, or four values separated by commas; their sum must fit 64 bits",
    default: "268435456",
    meaning: "bytes for task outputs, per ring",
};

/// Edges per ring.
pub const RING_DEP_POOL: Setting = Setting {
    environment: "PREWIRE_RING_DEP_POOL",
    builder: "ring_dep_pool",
    accepts: "edges from 4 to 2^30, or four values separated by commas",
    default: "16384",
    meaning: "dependency edges alive at once, per ring",
};

/// Entries of the dependency index.
pub const INDEX_ENTRIES: Setting = Setting {
    environment: "PREWIRE_INDEX_ENTRIES",
    builder: "index_entries",
    accepts: "entries from 4 to 2^28",
    default: "four per slot of all rings",
    meaning: "regions of memory that the dependency index tells apart at once",
};

/// The watchdog's budget.
pub const WATCHDOG_MS: Setting = Setting {
    environment: "PREWIRE_WATCHDOG_MS",
    builder: "watchdog",
    accepts: "milliseconds from 1 up",
    default: "10000",
    meaning: "how long one task may keep a core without a sign of life",
};

/// The orchestrator's budget without progress.
pub const NO_PROGRESS_MS: Setting = Setting {
    environment: "PREWIRE_NO_PROGRESS_MS",
    builder: "no_progress",
    accepts: "milliseconds from 1 up",
    default: "500",
    meaning: "how long a submit waits for room while nothing runs and nothing moves",
};

/// The budget of a data access.
pub const DATA_WAIT_MS: Setting = Setting {
    environment: "PREWIRE_DATA_WAIT_MS",
    builder: "data_wait",
    accepts: "milliseconds from 1 up",
    default: "15000",
    meaning: "how long get and set wait for the tasks they depend on",
};

/// All of them.
pub const SETTINGS: &[Setting] =
    &[RING_TASK_WINDOW, RING_HEAP, RING_DEP_POOL, INDEX_ENTRIES, WATCHDOG_MS, NO_PROGRESS_MS, DATA_WAIT_MS];
