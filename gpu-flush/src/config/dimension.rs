//! One dimension of an array.

/// The kind of an axis in OME-NGFF terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisKind {
    /// Position in space.
    Space,
    /// Time.
    Time,
    /// A channel.
    Channel,
}

impl AxisKind {
    /// The `type` of an OME-NGFF 0.5 axis.
    #[must_use]
    pub const fn ngff_name(self) -> &'static str {
        match self {
            AxisKind::Space => "space",
            AxisKind::Time => "time",
            AxisKind::Channel => "channel",
        }
    }

    /// The usual kind of an axis of this name: `t` and `time` are time, `c` and `channel` are channels, all else is space.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        match name {
            "t" | "time" => AxisKind::Time,
            "c" | "channel" => AxisKind::Channel,
            _ => AxisKind::Space,
        }
    }
}

/// One dimension in acquisition order, slowest first. Sizes are in elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    /// The name, written to `dimension_names`.
    pub name: String,
    /// Extent in elements; 0 means unbounded and is allowed for the first dimension only.
    pub size: u64,
    /// Chunk extent in elements.
    pub chunk: u64,
    /// Chunks of a shard along this dimension; 0 means all of them.
    pub chunks_per_shard: u64,
    /// Whether the pyramid halves this dimension from level to level.
    pub downsample: bool,
    /// The kind of axis.
    pub kind: AxisKind,
    /// The unit of one step, for example `micrometer`.
    pub unit: Option<String>,
    /// The length of one step at full resolution, in units.
    pub scale: f64,
}

impl Dimension {
    /// A dimension of `size` elements, in one chunk and one shard until said otherwise.
    #[must_use]
    pub fn bounded(name: impl Into<String>, size: u64) -> Self {
        let name = name.into();
        let kind = AxisKind::of_name(&name);
        Dimension { name, size, chunk: size, chunks_per_shard: 0, downsample: false, kind, unit: None, scale: 1.0 }
    }

    /// A dimension that grows as data arrives, with chunks of one element and one chunk per shard until said otherwise.
    /// Only the first dimension of an array may be unbounded.
    #[must_use]
    pub fn unbounded(name: impl Into<String>) -> Self {
        Dimension { chunk: 1, chunks_per_shard: 1, ..Dimension::bounded(name, 0) }
    }

    /// Sets the chunk extent in elements.
    #[must_use]
    pub fn chunk(mut self, elements: u64) -> Self {
        self.chunk = elements;
        self
    }

    /// Sets the number of chunks of a shard along this dimension; 0 means all.
    #[must_use]
    pub fn chunks_per_shard(mut self, chunks: u64) -> Self {
        self.chunks_per_shard = chunks;
        self
    }

    /// Makes the pyramid halve this dimension.
    #[must_use]
    pub fn downsample(mut self) -> Self {
        self.downsample = true;
        self
    }

    /// Sets the kind of axis.
    #[must_use]
    pub fn kind(mut self, kind: AxisKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the physical length of one step.
    #[must_use]
    pub fn scale(mut self, scale: f64, unit: impl Into<String>) -> Self {
        self.scale = scale;
        self.unit = Some(unit.into());
        self
    }
}
