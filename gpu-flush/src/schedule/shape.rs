//! The three shapes of the schedule, and which one a configuration gets.

use std::fmt;

/// When a batch is drained relative to the kicks around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A batch is drained when its slot is wanted again, two kicks later: compression, ingest and delivery overlap.
    Pipelined,
    /// Every kicked batch is drained before the next kick: the device need not wait for a value the host publishes.
    DrainBeforeKick,
    /// A batch is drained right after its kick: nothing is in flight when another array takes the engine.
    DrainAfterKick,
}

/// What decides an array's shape. It is asked once, after the gate was probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// The array has the engine to itself and may have a tail gate.
    pub gate_handle: bool,
    /// The sink wants page-aligned writes, so tails are carried.
    pub aligned: bool,
    /// Shards are open at once.
    pub inner_shards: u64,
    /// Streams can wait for the gate's counter.
    pub gate_supported: bool,
}

impl Selection {
    /// The shape. Whether the array is bounded makes no difference.
    #[must_use]
    pub fn shape(self) -> Shape {
        if !self.gate_handle {
            Shape::DrainAfterKick
        } else if self.aligned && self.inner_shards > 0 && !self.gate_supported {
            Shape::DrainBeforeKick
        } else {
            Shape::Pipelined
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pipelined => "pipelined",
            Self::DrainBeforeKick => "drain-before-kick",
            Self::DrainAfterKick => "drain-after-kick",
        })
    }
}
