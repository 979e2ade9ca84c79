//! The stage that packs compressed chunks into shards.

use super::Lane;
use crate::device::{Bias, DeviceError, Gather, Payload, Scan, Tag, TailCopy, Unit};
use crate::pools::{ReadView, WriteView};

/// What aggregation works on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AggregateViews<'a> {
    pub(crate) aggregate: WriteView<'a>,
    pub(crate) index: WriteView<'a>,
    /// The pool chunk of each chunk.
    pub(crate) gather: ReadView<'a>,
    /// The entry of each chunk.
    pub(crate) entries: ReadView<'a>,
    pub(crate) shards: ReadView<'a>,
    /// Compressed chunks and their sizes; `None` when nothing is compressed.
    pub(crate) compressed: Option<(ReadView<'a>, ReadView<'a>)>,
    pub(crate) pool: ReadView<'a>,
    /// Lengths and pages of the carried tails; `None` for a sink without pages.
    pub(crate) tails: Option<(ReadView<'a>, usize)>,
    /// The chunks stand in their shards already: only the index is made, and the tails are put before them.
    pub(crate) in_place: bool,
}

/// Packs a batch by shard, or says where its chunks stand when they were scattered to their shards.
pub(crate) fn aggregate(
    lane: Lane<'_>,
    batch: u64,
    counts: (usize, usize, usize),
    chunk_bytes: (usize, usize),
    views: AggregateViews<'_>,
) -> Result<(), DeviceError> {
    let (chunks, entries, shards) = counts;
    let (chunk_bytes, stride_bytes) = chunk_bytes;
    let tag = |name| Tag::new(name, Unit::Batch(batch));
    let passthrough = views.compressed.is_none();
    let scan = Scan { chunks, entries, passthrough_bytes: passthrough.then_some(chunk_bytes as u64) };
    match views.compressed {
        Some((_, sizes)) => {
            lane.queue(tag("SCAN"), Payload::Scan(scan), &[views.index.write(), views.entries.read(), sizes.read()])?
        }
        None => lane.queue(tag("SCAN"), Payload::Scan(scan), &[views.index.write(), views.entries.read()])?,
    }
    if let Some((tails, page_bytes)) = views.tails {
        let lengths = tails.slice(0..shards as u64 * 8);
        lane.queue(
            tag("BIAS"),
            Payload::Bias(Bias { shards, entries, tails: true }),
            &[views.index.update(), views.shards.read(), lengths.read()],
        )?;
        lane.queue(
            tag("TAIL_COPY"),
            Payload::TailCopy(TailCopy { shards, page_bytes }),
            &[views.aggregate.write(), views.shards.read(), tails.read()],
        )?;
    }
    if views.in_place {
        if views.tails.is_none() {
            let bias = Payload::Bias(Bias { shards, entries, tails: false });
            lane.queue(tag("BIAS"), bias, &[views.index.update(), views.shards.read()])?;
        }
        return lane.queue(tag("GATHER"), Payload::Elided, &[]);
    }
    let gather = Gather { chunks, entries, stride_bytes, passthrough };
    let source = views.compressed.map_or(views.pool, |(chunks, _)| chunks);
    lane.queue(
        tag("GATHER"),
        Payload::Gather(gather),
        &[views.aggregate.write(), views.index.read_back(), views.entries.read(), source.read(), views.gather.read()],
    )
}
