//! The stage that computes the levels of a pyramid.

use std::sync::Arc;

use super::Lane;
use crate::config::ReduceMethod;
use crate::device::{DeviceError, Fold, LevelScatter, Payload, Reduce, Tag, Unit};
use crate::geometry::ArrayGeometry;
use crate::pools::{ReadView, WriteView};

/// How the levels of one array are computed.
#[derive(Debug, Clone)]
pub(crate) struct LevelsPlan {
    pub(crate) geometry: Arc<ArrayGeometry>,
    pub(crate) method: ReduceMethod,
    pub(crate) append_method: ReduceMethod,
}

/// Copies level 0 from the row-major epoch to its chunks. What did not come of a partial epoch is zeroed first.
pub(crate) fn gather_level_0(
    lane: Lane<'_>,
    plan: &LevelsPlan,
    epoch: u64,
    elements: u64,
    region: WriteView<'_>,
    linear: WriteView<'_>,
) -> Result<(), DeviceError> {
    let scatter = LevelScatter { geometry: Arc::clone(&plan.geometry), level: 0, elements };
    lane.queue(
        Tag::new("LOD_GATHER", Unit::Epoch(epoch)),
        Payload::LevelScatter(scatter),
        &[region.write(), linear.update()],
    )
}

/// Computes the images of levels 1 and up.
pub(crate) fn reduce(
    lane: Lane<'_>,
    plan: &LevelsPlan,
    epoch: u64,
    images: WriteView<'_>,
    linear: ReadView<'_>,
) -> Result<(), DeviceError> {
    let reduce = Reduce { geometry: Arc::clone(&plan.geometry), method: plan.method };
    lane.queue(Tag::new("REDUCE", Unit::Epoch(epoch)), Payload::Reduce(reduce), &[images.update(), linear.read()])
}

/// One step of the fold along the append dimension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoldStep {
    pub(crate) epoch: u64,
    /// Frames of the epoch.
    pub(crate) frames: u64,
    /// Levels whose images are written.
    pub(crate) emit_mask: u32,
    /// The epoch is taken into the accumulators first; if not, only what they hold is written, at the end of the input.
    pub(crate) take: bool,
}

/// Takes an epoch into the accumulators of the append dimension and writes the images of the levels it completes, or of those whose
/// last epoch stays incomplete.
pub(crate) fn fold(
    lane: Lane<'_>,
    plan: &LevelsPlan,
    step: FoldStep,
    images: WriteView<'_>,
    accumulators: WriteView<'_>,
) -> Result<(), DeviceError> {
    let FoldStep { epoch, frames, emit_mask, take } = step;
    let (geometry, method) = (Arc::clone(&plan.geometry), plan.append_method);
    let payload = Payload::Fold(Fold { geometry, method, epoch, frames, emit_mask, take });
    let tag = Tag::new(if take { "FOLD" } else { "EMIT" }, Unit::Epoch(epoch));
    lane.queue(tag, payload, &[images.update(), accumulators.update()])
}

/// Copies the images of the levels in `mask`, from level 1 on, to their chunks.
pub(crate) fn level_scatter(
    lane: Lane<'_>,
    plan: &LevelsPlan,
    epoch: u64,
    mask: u32,
    regions: WriteView<'_>,
    images: ReadView<'_>,
) -> Result<(), DeviceError> {
    let scatter = crate::device::LevelsScatter { geometry: Arc::clone(&plan.geometry), mask };
    lane.queue(
        Tag::new("LEVEL_SCATTER", Unit::Epoch(epoch)),
        Payload::LevelsScatter(scatter),
        &[regions.write(), images.read()],
    )
}
