//! What a chip is, as data: how many cores of each kind, how they are numbered, how fast its clocks and registers are.
//!
//! Shared code never asks which chip it is; it reads a value from here.

use crate::id::CoreId;
use crate::task::ArgumentLimits;
use crate::tensor::DataType;
use std::sync::Arc as StdArc;

/// The two kinds of core. A cluster is one cube core and two vector cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CoreKind {
    /// The matrix core (AIC).
    Cube = 0,
    /// The vector core (AIV).
    Vector = 1,
}

impl CoreKind {
    /// What several cores of each kind of a chip are called.
    pub const CORES: [&'static str; 2] = ["AIC cores", "AIV cores"];

    /// The short name that users of these chips know: AIC or AIV.
    pub const fn name(self) -> &'static str {
        match self {
            CoreKind::Cube => "AIC",
            CoreKind::Vector => "AIV",
        }
    }
}

/// Where a core's registers lie in its window, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterMap {
    /// The 64-bit dispatch register (scheduler to core).
    pub dispatch: usize,
    /// The 32-bit condition register (core to scheduler).
    pub condition: usize,
    /// A register to open before the first token and close behind the last, where the chip has one.
    pub fast_path: Option<FastPath>,
    /// The pages of one core's window: offset and length in bytes, ascending.
    pub pages: &'static [(usize, usize)],
}

/// A register that is written once to open a core's window and once to close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastPath {
    /// Its offset in bytes.
    pub offset: usize,
    /// What opens the window.
    pub open: u32,
    /// What closes it.
    pub close: u32,
}

/// How long things take on the real chip, in nanoseconds; ranges are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latencies {
    /// Reading one condition register.
    pub register_read_ns: (u64, u64),
    /// Writing one register (posted).
    pub register_write_ns: u64,
    /// From a token's store until the core sees it.
    pub dispatch_ns: u64,
    /// From a kernel's end until the condition register shows it.
    pub completion_ns: (u64, u64),
    /// From the core's seeing a token until its kernel starts.
    pub start_ns: (u64, u64),
    /// One submit of the orchestrator.
    pub submit_ns: u64,
    /// Taking in one ended block, without its consumers.
    pub complete_ns: u64,
    /// Releasing one consumer during a completion walk.
    pub resolve_ns: u64,
    /// One iteration of a scheduler's loop that finds nothing to do and reads no register.
    pub step_ns: u64,
}

/// Rates of one core, for cost models.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Multiply-adds per nanosecond of a cube core with 16-bit inputs.
    pub cube_multiply_adds_per_ns: f64,
    /// Element operations per nanosecond of a vector core with 32-bit elements.
    pub vector_operations_per_ns: f64,
    /// Bytes per nanosecond between one core and device memory.
    pub memory_bytes_per_ns: f64,
}

/// Cores that the last clusters lack: a platform whose kinds of core are not in the proportion of a cluster has numbers for cores that do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingCores {
    /// So many cube cores, the last ones.
    pub cubes: u16,
    /// So many vector cores, the last ones.
    pub vectors: u16,
}

impl MissingCores {
    /// Every cluster is whole.
    pub const NONE: MissingCores = MissingCores { cubes: 0, vectors: 0 };
}

/// A chip.
#[derive(Clone, Debug, PartialEq)]
pub struct ChipSpec {
    /// The name users give it.
    pub name: &'static str,
    /// Clusters of one cube and two vector cores.
    pub clusters: u16,
    /// Which cores of the last clusters do not exist.
    pub missing: MissingCores,
    /// What several cores of a kind are called, by kind.
    pub kinds: [&'static str; 2],
    /// What each core is called, where that is not its kind and its number.
    pub core_names: Option<StdArc<[String]>>,
    /// Dies the clusters are spread over, evenly.
    pub dies: u16,
    /// Threads of a run by default: one orchestrator, the rest schedulers.
    pub threads_default: u8,
    /// The most threads a run may have; the fewest is 2.
    pub threads_max: u8,
    /// Ticks per second of the system counter, the unit of recorded chip time.
    pub counter_hz: u64,
    /// Where the registers are.
    pub registers: RegisterMap,
    /// Whether schedulers, cores and copy engines see each other's memory without explicit invalidation.
    pub coherent: bool,
    /// How long things take.
    pub latencies: Latencies,
    /// How much a core does per nanosecond.
    pub rates: Rates,
    /// How many arguments one task may have.
    pub arguments: ArgumentLimits,
    /// Element types that kernels of this chip know.
    pub data_types: &'static [DataType],
    /// How long a run's teardown waits for all cores together to say that they left.
    pub exit_deadline_ms: u64,
    /// How long a core may take to answer its start-up handshake.
    pub handshake_deadline_ms: u64,
}

impl ChipSpec {
    /// A chip of so many clusters on which everything takes one nanosecond and that has no quirk: what tests and measurements without a real chip start
    /// from.
    pub const fn unit(clusters: u16) -> Self {
        ChipSpec {
            name: "unit",
            clusters,
            missing: MissingCores::NONE,
            kinds: CoreKind::CORES,
            core_names: None,
            dies: 1,
            threads_default: 2,
            threads_max: 16,
            counter_hz: 1_000_000_000,
            registers: RegisterMap { dispatch: 0, condition: 8, fast_path: None, pages: &[(0, 4096)] },
            coherent: true,
            latencies: Latencies {
                register_read_ns: (1, 1),
                register_write_ns: 1,
                dispatch_ns: 1,
                completion_ns: (1, 1),
                start_ns: (1, 1),
                submit_ns: 1,
                complete_ns: 1,
                resolve_ns: 1,
                step_ns: 1,
            },
            rates: Rates { cube_multiply_adds_per_ns: 1.0, vector_operations_per_ns: 1.0, memory_bytes_per_ns: 1.0 },
            arguments: ArgumentLimits::CHIP,
            data_types: &DataType::ALL,
            exit_deadline_ms: 1000,
            handshake_deadline_ms: 1000,
        }
    }

    /// The same chip with fewer clusters, for tests and small machines.
    ///
    /// # Panics
    /// If `clusters` is 0 or more than the chip has.
    #[must_use]
    pub fn with_clusters(mut self, clusters: u16) -> Self {
        assert!(
            (1..=self.clusters).contains(&clusters),
            "{} has 1 to {} clusters, not {clusters}",
            self.name,
            self.clusters
        );
        self.clusters = clusters;
        self.dies = self.dies.min(clusters);
        self
    }

    /// Cube cores: one per cluster, numbered from 0.
    pub const fn cube_cores(&self) -> u16 {
        self.clusters - self.missing.cubes
    }

    /// Vector cores: two per cluster, numbered behind the cube cores.
    pub const fn vector_cores(&self) -> u16 {
        self.clusters * 2 - self.missing.vectors
    }

    /// Numbers of cores, from 0; where clusters are whole there is a core for each.
    pub const fn cores(&self) -> u16 {
        self.clusters * 3
    }

    /// Whether there is a core with this number.
    #[inline]
    pub const fn has(&self, core: CoreId) -> bool {
        if core.0 < self.clusters { core.0 < self.cube_cores() } else { core.0 - self.clusters < self.vector_cores() }
    }

    /// The core that is `part` (0 cube, 1 and 2 vector) of `cluster`.
    #[inline]
    pub const fn core(&self, cluster: u16, part: usize) -> CoreId {
        match part {
            0 => CoreId(cluster),
            _ => CoreId(self.clusters + 2 * cluster + part as u16 - 1),
        }
    }

    /// The cluster and the part of it that a core is.
    #[inline]
    pub const fn place_of(&self, core: CoreId) -> (u16, usize) {
        if core.0 < self.clusters {
            (core.0, 0)
        } else {
            let vector = core.0 - self.clusters;
            (vector / 2, 1 + vector as usize % 2)
        }
    }

    /// The kind of a core.
    #[inline]
    pub const fn kind_of(&self, core: CoreId) -> CoreKind {
        if core.0 < self.clusters { CoreKind::Cube } else { CoreKind::Vector }
    }

    /// A core as users write it: its kind and its number in the chip, unless it has a name.
    pub fn core_name(&self, core: CoreId) -> String {
        let named = self.core_names.as_ref().and_then(|names| names.get(core.index()));
        named.cloned().unwrap_or_else(|| format!("{}_{}", self.kind_of(core).name(), core.0))
    }

    /// Whether kernels of this chip know the element type.
    pub fn knows(&self, data_type: DataType) -> bool {
        self.data_types.contains(&data_type)
    }
}
