//! What a runtime is made with.

use crate::convert::unknown;
use crate::error::{Error, guard};
use crate::log::{Logger, prewire_log_function};
use crate::pointer;
use crate::status::prewire_status;
use prewire::{Builder, Chip, Engine, Hazards, Runtime};
use std::ffi::c_void;
use std::time::Duration;

/// The rings of a runtime: a task uses the ring of its scope's depth, and those of depth 3 and more share the last.
pub const PREWIRE_RING_COUNT: usize = 4;

/// A chip that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_chip {
    /// 24 clusters: 24 cube and 48 vector cores.
    A2a3 = 0,
    /// 36 clusters on two dies: 36 cube and 72 vector cores.
    A5 = 1,
}

/// How kernels are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_engine {
    /// The thread that dispatches a block runs it; blocks that may wait for one another get threads of their own.
    Inline = 0,
    /// Every core's kernels run on a pool of threads, as on a chip.
    Threads = 1,
    /// Everything runs in virtual time, in an order that `seed` decides.
    Virtual = 2,
}

/// Which dependencies are inferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_hazards {
    /// All: a run means what its tasks mean one after the other.
    All = 0,
    /// Only reads after writes; whoever overwrites what others read must order it by explicit dependencies.
    ReadAfterWrite = 1,
}

/// Keeps what every core did and when, for `prewire_report_write_trace`.
pub const PREWIRE_RECORD_TRACE: u32 = 1;
/// Keeps every task and dependency, which gives a trace its arrows.
pub const PREWIRE_RECORD_GRAPH: u32 = 2;
/// The first scheduler gets no thread: whoever calls a run drives it while it waits.
pub const PREWIRE_CALLER_DRIVES: u32 = 4;
/// No scheduler has a thread: the caller plays them all while it waits.
pub const PREWIRE_SINGLE_THREAD: u32 = 8;

const FLAGS: u32 = PREWIRE_RECORD_TRACE | PREWIRE_RECORD_GRAPH | PREWIRE_CALLER_DRIVES | PREWIRE_SINGLE_THREAD;

/// What a runtime is made with. Begin with `prewire_config_init`; what is left 0 is decided by its environment variable, or else by its default.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct prewire_config {
    /// `sizeof(prewire_config)`, as `prewire_config_init` writes it.
    pub size: usize,
    /// A `prewire_chip`.
    pub chip: u32,
    /// A `prewire_engine`.
    pub engine: u32,
    /// What decides the order of things in virtual time.
    pub seed: u64,
    /// Clusters of the chip to use; 0 takes all.
    pub clusters: u32,
    /// Threads of a run, one orchestrator and the rest schedulers; 0 takes the chip's default, or the number of processors if that is less.
    pub threads: u32,
    /// `PREWIRE_RECORD_TRACE` and the flags beside it, joined by `|`.
    pub flags: u32,
    /// A `prewire_hazards`.
    pub hazards: u32,
    /// Tasks alive at once, per ring; the first alone stands for all rings.
    pub ring_task_window: [u64; PREWIRE_RING_COUNT],
    /// Bytes for task outputs, per ring; the first alone stands for all rings.
    pub ring_heap: [u64; PREWIRE_RING_COUNT],
    /// Dependency edges alive at once, per ring; the first alone stands for all rings.
    pub ring_dep_pool: [u64; PREWIRE_RING_COUNT],
    /// Entries of the dependency index.
    pub index_entries: u64,
    /// How long one task may keep a core without a sign of life, in milliseconds.
    pub watchdog_ms: u64,
    /// How long a submit waits for room while nothing moves, in milliseconds.
    pub no_progress_ms: u64,
    /// How long a data access waits for the tasks it depends on, in milliseconds.
    pub data_wait_ms: u64,
    /// Called with what the library has to say; NULL for silence. See `prewire_log_function`.
    pub log: prewire_log_function,
    /// Handed to `log`.
    pub log_context: *mut c_void,
    /// The least important `prewire_log_level` that `log` is called for.
    pub log_level: u32,
    /// 0.
    pub reserved: u32,
}

/// Writes the defaults into a configuration: the A2/A3 chip, the inline engine, everything else left to the environment.
///
/// `config` stays the caller's. Any thread may call it.
///
/// # Safety
/// `config` is NULL or points to a `prewire_config` that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prewire_config_init(config: *mut prewire_config) -> prewire_status {
    guard(|| {
        let value = prewire_config {
            size: size_of::<prewire_config>(),
            chip: prewire_chip::A2a3 as u32,
            engine: prewire_engine::Inline as u32,
            seed: 0,
            clusters: 0,
            threads: 0,
            flags: 0,
            hazards: prewire_hazards::All as u32,
            ring_task_window: [0; PREWIRE_RING_COUNT],
            ring_heap: [0; PREWIRE_RING_COUNT],
            ring_dep_pool: [0; PREWIRE_RING_COUNT],
            index_entries: 0,
            watchdog_ms: 0,
            no_progress_ms: 0,
            data_wait_ms: 0,
            log: None,
            log_context: std::ptr::null_mut(),
            log_level: crate::log::prewire_log_level::Warning as u32,
            reserved: 0,
        };
        // SAFETY: by contract.
        unsafe { pointer::put(config, "config", value) }
    })
}

impl prewire_config {
    pub(crate) fn logger(&self) -> Result<Option<Logger>, Error> {
        Logger::new(self.log, self.log_context, self.log_level)
    }

    /// The builder that says the same.
    pub(crate) fn builder(&self) -> Result<Builder, Error> {
        let chip = match self.chip {
            0 => Chip::A2a3,
            1 => Chip::A5,
            chip => return Err(unknown("chip", chip)),
        };
        let engine = match self.engine {
            0 => Engine::Inline,
            1 => Engine::Threads,
            2 => Engine::Virtual { seed: self.seed },
            engine => return Err(unknown("engine", engine)),
        };
        if self.flags & !FLAGS != 0 {
            return Err(unknown("set of configuration flags", self.flags));
        }
        let has = |flag| self.flags & flag != 0;
        let mut builder = Runtime::builder()
            .platform(chip)
            .engine(engine)
            .threads(i64::from(self.threads))
            .record_trace(has(PREWIRE_RECORD_TRACE))
            .record_graph(has(PREWIRE_RECORD_GRAPH))
            .caller_drives(has(PREWIRE_CALLER_DRIVES))
            .single_thread(has(PREWIRE_SINGLE_THREAD));
        if self.clusters != 0 {
            builder = builder.clusters(u16::try_from(self.clusters).unwrap_or(u16::MAX));
        }
        if let Some(slots) = per_ring(self.ring_task_window) {
            builder = builder.ring_task_window(slots);
        }
        if let Some(bytes) = per_ring(self.ring_heap) {
            builder = builder.ring_heap(bytes);
        }
        if let Some(edges) = per_ring(self.ring_dep_pool) {
            builder = builder.ring_dep_pool(edges);
        }
        if self.index_entries != 0 {
            builder = builder.index_entries(self.index_entries);
        }
        if self.watchdog_ms != 0 {
            builder = builder.watchdog(Duration::from_millis(self.watchdog_ms));
        }
        if self.no_progress_ms != 0 {
            builder = builder.no_progress(Duration::from_millis(self.no_progress_ms));
        }
        if self.data_wait_ms != 0 {
            builder = builder.data_wait(Duration::from_millis(self.data_wait_ms));
        }
        match self.hazards {
            0 => Ok(builder),
            // SAFETY: whoever asks for it promises, by the header, to order what is not inferred.
            1 => Ok(unsafe { builder.hazards(Hazards::ReadAfterWrite) }),
            hazards => Err(unknown("kind of hazards", hazards)),
        }
    }
}

/// The values of a setting for each ring, if it was said.
fn per_ring(values: [u64; PREWIRE_RING_COUNT]) -> Option<[u64; PREWIRE_RING_COUNT]> {
    match values {
        [0, 0, 0, 0] => None,
        [all, 0, 0, 0] => Some([all; PREWIRE_RING_COUNT]),
        values => Some(values),
    }
}

const _: () = assert!(size_of::<prewire_config>() == 192);
