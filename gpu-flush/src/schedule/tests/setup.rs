//! Writers in every configuration, on a recording device.

use std::sync::Arc;
use std::time::Duration;

use crate::checked::Checked;
use crate::config::{ArrayConfig, CodecConfig, Dimension, EngineConfig};
use crate::device::{Device, SteppedDevice};
use crate::dtype::DataType;
use crate::edges::{Mutation, Mutations};
use crate::error::Error;
use crate::schedule::Shape;
use crate::sink::{MemorySink, Sink};
use crate::writer::{Appended, MultiWriter, Writer, WriterBuilder};

pub(super) const FRAME_BYTES: usize = 128 * 128 * 2;

/// One way to run the array of the golden traces: u16, t unbounded × 128 × 128, chunks 1×64×64, 8×2×2 chunks per shard.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) shape: Shape,
    pub(crate) compressed: bool,
    pub(crate) levels: bool,
    pub(crate) page_bytes: usize,
    pub(crate) staging_bytes: usize,
    pub(crate) epochs_per_batch: u32,
    pub(crate) mutations: Vec<Mutation>,
}

impl Setup {
    /// As the golden traces have it: K=2, staging of one frame, pages of 4096 bytes.
    pub(crate) fn golden(shape: Shape, compressed: bool, levels: bool) -> Self {
        Self {
            shape,
            compressed,
            levels,
            page_bytes: 4096,
            staging_bytes: FRAME_BYTES,
            epochs_per_batch: 2,
            mutations: Vec::new(),
        }
    }

    /// As the mutation rows have it: two dispatches per frame.
    pub(crate) fn mutation(shape: Shape, compressed: bool, levels: bool) -> Self {
        Self { staging_bytes: FRAME_BYTES / 2, ..Self::golden(shape, compressed, levels) }
    }

    pub(crate) fn with(mut self, mutations: &[Mutation]) -> Self {
        self.mutations = mutations.to_vec();
        self
    }

    pub(crate) fn unaligned(mut self) -> Self {
        self.page_bytes = 0;
        self
    }

    pub(crate) fn name(&self) -> String {
        format!(
            "{} {} {} {}",
            self.shape,
            if self.page_bytes > 0 { "aligned" } else { "unaligned" },
            if self.compressed { "zstd" } else { "none" },
            if self.levels { "levels" } else { "flat" }
        )
    }

    /// The 20 configurations of the proof.
    pub(crate) fn all() -> Vec<Self> {
        let shapes = [
            (Shape::Pipelined, true),
            (Shape::Pipelined, false),
            (Shape::DrainBeforeKick, true),
            (Shape::DrainAfterKick, true),
            (Shape::DrainAfterKick, false),
        ];
        let mut all = Vec::new();
        for (shape, aligned) in shapes {
            for (compressed, levels) in [(true, false), (true, true), (false, false), (false, true)] {
                let setup = Self::mutation(shape, compressed, levels);
                all.push(if aligned { setup } else { setup.unaligned() });
            }
        }
        all
    }

    pub(crate) fn config(&self) -> ArrayConfig {
        let inner = |name: &str| {
            let dimension = Dimension::bounded(name, 128).chunk(64).chunks_per_shard(2);
            if self.levels { dimension.downsample() } else { dimension }
        };
        ArrayConfig::builder(DataType::U16)
            .dimension(Dimension::unbounded("t").chunk(1).chunks_per_shard(8))
            .dimension(inner("y"))
            .dimension(inner("x"))
            .codec(if self.compressed { CodecConfig::Zstd { level: 1 } } else { CodecConfig::None })
            .build()
            .unwrap()
    }

    pub(crate) fn engine(&self) -> EngineConfig {
        EngineConfig::default()
            .staging_bytes(self.staging_bytes)
            .epochs_per_batch(self.epochs_per_batch)
            .metadata_update_interval(Duration::ZERO)
            .threads_max(1)
            .force_gate_off(self.shape == Shape::DrainBeforeKick)
    }

    pub(crate) fn sink(&self) -> MemorySink {
        MemorySink::with_pages(self.page_bytes)
    }

    /// A writer in this shape on `device`.
    pub(crate) fn writer(&self, device: Arc<dyn Device>, sink: Arc<dyn Sink>) -> Result<AnyWriter, Error> {
        let mut builder = WriterBuilder::new().array(self.config(), sink).engine(self.engine()).device(device);
        builder.mutations = Mutations { active: self.mutations.clone() };
        Ok(match self.shape {
            Shape::DrainAfterKick => AnyWriter::Multi(builder.build_multi()?),
            _ => AnyWriter::Single(builder.build()?),
        })
    }

    /// Streams `frames` frames and part of one through the byte-less device and flushes; an error ends it early.
    pub(crate) fn record(&self, frames: usize, more_bytes: usize) -> (Arc<Checked<SteppedDevice>>, Result<(), Error>) {
        let device = Arc::new(Checked::new(SteppedDevice::byteless(1)));
        let result = self.stream(Arc::clone(&device) as Arc<dyn Device>, Arc::new(self.sink()), frames, more_bytes);
        (device, result)
    }

    /// Streams through `device` into `sink`, frame by frame, and flushes.
    pub(crate) fn stream(
        &self,
        device: Arc<dyn Device>,
        sink: Arc<dyn Sink>,
        frames: usize,
        more_bytes: usize,
    ) -> Result<(), Error> {
        let mut writer = self.writer(device, sink)?;
        for frame in 0..frames {
            let _taken = writer.append(&pattern(frame, FRAME_BYTES))?;
        }
        let _taken = writer.append(&pattern(frames, more_bytes))?;
        writer.flush()
    }
}

/// Frame `number`: u16 values that differ between frames, rows and columns.
pub(crate) fn pattern(number: usize, bytes: usize) -> Vec<u8> {
    (0..bytes / 2).flat_map(|at| ((at ^ (at >> 7) ^ (number * 977)) as u16).to_le_bytes()).collect()
}

/// A writer of either kind holding one array.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a test holds one of them")]
pub(crate) enum AnyWriter {
    Single(Writer),
    Multi(MultiWriter),
}

impl AnyWriter {
    pub(crate) fn append<'a>(&mut self, data: &'a [u8]) -> Result<Appended<'a>, Error> {
        match self {
            Self::Single(writer) => writer.append(data),
            Self::Multi(writer) => writer.update(0, data),
        }
    }

    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        match self {
            Self::Single(writer) => writer.flush(),
            Self::Multi(writer) => writer.flush(),
        }
    }

    pub(crate) fn close(&mut self) -> Result<(), Error> {
        match self {
            Self::Single(writer) => writer.close(),
            Self::Multi(writer) => writer.close(),
        }
    }

    pub(crate) fn parts(&mut self) -> (&mut crate::schedule::Engine, &mut crate::schedule::Array) {
        match self {
            Self::Single(writer) => writer.parts(),
            Self::Multi(writer) => {
                let (engine, arrays) = writer.parts();
                (engine, &mut arrays[0])
            }
        }
    }
}
