//! The pyramid of one epoch. Images of levels 1 and up stand one behind the other in one buffer, accumulators likewise.

use std::sync::Arc;

use super::parallel::{SharedBytes, for_each};
use crate::config::ReduceMethod;
use crate::device::DeviceError;
use crate::device::views::Views;
use crate::geometry::ArrayGeometry;
use crate::pyramid::{emit_frames, fold_frames, reduce};

/// Bytes of a level image one worker takes at a time.
const PART_BYTES: usize = 256 << 10;

fn image_bytes(geometry: &ArrayGeometry, level: usize) -> usize {
    geometry.levels[level].image_elements as usize * geometry.dtype.size_bytes()
}

/// First byte of a level's image in the buffer of images.
fn image_start(geometry: &ArrayGeometry, level: usize) -> usize {
    (1..level).map(|level| image_bytes(geometry, level)).sum()
}

fn scatter_image(
    geometry: &ArrayGeometry,
    level: usize,
    image: &[u8],
    region: SharedBytes,
    workers: Option<&rayon::ThreadPool>,
) -> Result<(), DeviceError> {
    let element_bytes = geometry.dtype.size_bytes();
    let scatter = &geometry.levels[level].scatter;
    for_each(workers, image.len().div_ceil(PART_BYTES), image.len(), |part| {
        let start = part * PART_BYTES;
        let bytes = &image[start..(start + PART_BYTES).min(image.len())];
        // SAFETY: parts are disjoint in the image and the map is injective; `scatter_raw` checks the region's length.
        unsafe {
            scatter.scatter_raw((start / element_bytes) as u64, bytes, region.as_ptr(), region.len(), element_bytes);
        }
        Ok(())
    })
}

/// Writes level 0 of an epoch to its chunks.
///
/// Accesses: \[0\] the level's region in the chunk pool, \[1\] the row-major epoch, of which what did not come is zeroed first.
#[derive(Debug, Clone)]
pub struct LevelScatter {
    /// Where elements go.
    pub geometry: Arc<ArrayGeometry>,
    /// The level.
    pub level: usize,
    /// Elements of the image that came.
    pub elements: u64,
}

impl LevelScatter {
    pub(super) fn run(&self, views: &Views<'_>, workers: Option<&rayon::ThreadPool>) -> Result<(), DeviceError> {
        if !views.is_backed(0) {
            return Ok(());
        }
        let image = views.write_all(1)?;
        image[self.elements as usize * self.geometry.dtype.size_bytes()..].fill(0);
        let region = SharedBytes::new(views.write_all(0)?);
        scatter_image(&self.geometry, self.level, image, region, workers)
    }
}

/// Writes the images of several levels of an epoch to their chunks.
///
/// Accesses: \[0\] the epoch's regions of levels 1 and up, \[1\] the images.
#[derive(Debug, Clone)]
pub struct LevelsScatter {
    /// Where elements go.
    pub geometry: Arc<ArrayGeometry>,
    /// Bit l is set for each level l that delivers.
    pub mask: u32,
}

impl LevelsScatter {
    pub(super) fn run(&self, views: &Views<'_>, workers: Option<&rayon::ThreadPool>) -> Result<(), DeviceError> {
        if !views.is_backed(0) {
            return Ok(());
        }
        let (images, regions) = (views.read_all(1)?, views.write_all(0)?);
        let geometry = &*self.geometry;
        let stride = geometry.chunk_stride_bytes;
        let first = geometry.levels.get(1).map_or(0, |level| level.first_chunk as usize);
        for (level, levels) in geometry.levels.iter().enumerate().skip(1) {
            if self.mask >> level & 1 == 0 {
                continue;
            }
            let start = (levels.first_chunk as usize - first) * stride;
            let region = &mut regions[start..start + levels.chunks_per_epoch as usize * stride];
            let image = &images[image_start(geometry, level)..][..image_bytes(geometry, level)];
            scatter_image(geometry, level, image, SharedBytes::new(region), workers)?;
        }
        Ok(())
    }
}

/// Computes the images of levels 1 and up from the row-major epoch.
///
/// Accesses: \[0\] the images, \[1\] the epoch.
#[derive(Debug, Clone)]
pub struct Reduce {
    /// The levels.
    pub geometry: Arc<ArrayGeometry>,
    /// How windows become elements.
    pub method: ReduceMethod,
}

impl Reduce {
    pub(super) fn run(&self, views: &Views<'_>, workers: Option<&rayon::ThreadPool>) -> Result<(), DeviceError> {
        if !views.is_backed(0) {
            return Ok(());
        }
        let geometry = &*self.geometry;
        let (images, linear) = (views.write_all(0)?, views.read_all(1)?);
        let mut done = 0;
        for level in 1..geometry.levels.len() {
            let (before, rest) = images.split_at_mut(done);
            let source = match level {
                1 => linear,
                _ => &before[done - image_bytes(geometry, level - 1)..],
            };
            let result = &mut rest[..image_bytes(geometry, level)];
            self.level(level, source, result, workers)?;
            done += result.len();
        }
        Ok(())
    }

    /// One level, frame by frame on the workers where the slowest dimension is not halved.
    fn level(
        &self,
        level: usize,
        source: &[u8],
        result: &mut [u8],
        workers: Option<&rayon::ThreadPool>,
    ) -> Result<(), DeviceError> {
        let (from, to) = (&self.geometry.levels[level - 1].image_extents, &self.geometry.levels[level].image_extents);
        let dtype = self.geometry.dtype;
        // Windows never reach across a pair of slowest planes, so blocks of planes are independent.
        let Some(split) = from.iter().position(|extent| *extent > 1) else {
            reduce(dtype, self.method, source, from, result, to);
            return Ok(());
        };
        let plane = |extents: &[u64]| extents[split + 1..].iter().product::<u64>() as usize * dtype.size_bytes();
        let (from_plane, to_plane) = (plane(from), plane(to));
        let halved = from[split] != to[split];
        let planes = (PART_BYTES / to_plane.max(1)).max(1);
        let shared = SharedBytes::new(result);
        let parts = (to[split] as usize).div_ceil(planes);
        for_each(workers, parts, source.len(), |part| {
            let first = part * planes;
            let last = (first + planes).min(to[split] as usize);
            let (from_first, from_last) =
                if halved { (first * 2, (last * 2).min(from[split] as usize)) } else { (first, last) };
            let (mut from_extents, mut to_extents) = (from.clone(), to.clone());
            from_extents[split] = (from_last - from_first) as u64;
            to_extents[split] = (last - first) as u64;
            let input = &source[from_first * from_plane..from_last * from_plane];
            // SAFETY: parts are disjoint ranges of planes.
            let output = unsafe { shared.part(first * to_plane, (last - first) * to_plane) };
            reduce(dtype, self.method, input, &from_extents, output, &to_extents);
            Ok(())
        })
    }
}

/// Folds levels 1 and up along the append dimension.
///
/// Accesses: \[0\] the images, \[1\] the accumulators.
#[derive(Debug, Clone)]
pub struct Fold {
    /// The levels.
    pub geometry: Arc<ArrayGeometry>,
    /// Mean, min or max.
    pub method: ReduceMethod,
    /// The epoch, counted from the array's first.
    pub epoch: u64,
    /// Frames of it that came.
    pub frames: u64,
    /// Levels whose images are written.
    pub emit_mask: u32,
    /// Whether the epoch's images are taken into the accumulators first.
    pub take: bool,
}

impl Fold {
    pub(super) fn run(&self, views: &Views<'_>) -> Result<(), DeviceError> {
        if !views.is_backed(0) {
            return Ok(());
        }
        let geometry = &*self.geometry;
        let (images, accumulators) = (views.write_all(0)?, views.write_all(1)?);
        let mut at = 0;
        for level in 1..geometry.levels.len() {
            let shape = geometry.fold_shape(level, self.method);
            let accumulator = &mut accumulators[at..at + shape.bytes()];
            at += shape.bytes();
            let image = &mut images[image_start(geometry, level)..][..image_bytes(geometry, level)];
            let first_frame = self.epoch * shape.epoch_frames;
            if self.take {
                fold_frames(&shape, first_frame, self.frames, image, accumulator);
            }
            if self.emit_mask >> level & 1 == 1 {
                emit_frames(&shape, first_frame + self.frames, accumulator, image);
            }
        }
        Ok(())
    }
}
