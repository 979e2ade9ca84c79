//! The scatter of input elements into their chunks, on the CPU device.

use std::sync::Arc;

use super::parallel::{SharedBytes, for_each};
use crate::device::DeviceError;
use crate::device::views::Views;
use crate::geometry::{ArrayGeometry, Places};

/// Bytes of input one worker takes at a time.
const PART_BYTES: usize = 256 << 10;

/// Tile and transpose: writes input elements to their chunks, over as many epochs as the input spans.
///
/// Accesses: \[0\] the chunk pool from the region of the first epoch to the end of the last one's, or a whole batch of shards; \[1\] the
/// input, unless it is borrowed.
#[derive(Debug, Clone)]
pub struct Scatter {
    /// Where elements go.
    pub geometry: Arc<ArrayGeometry>,
    /// Image element of the first epoch at which the input starts.
    pub first_element: u64,
    /// The chunks' places in their shards and the batch's epoch at which the input starts, where \[0\] is a whole batch laid out by shard.
    pub shards: Option<(Arc<Places>, u64)>,
}

impl Scatter {
    pub(super) fn run(&self, views: &Views<'_>, workers: Option<&rayon::ThreadPool>) -> Result<(), DeviceError> {
        if !views.is_backed(0) {
            return Ok(());
        }
        let source = match views.source() {
            Some(source) => source,
            None => views.read_all(1)?,
        };
        let pool = SharedBytes::new(views.write_all(0)?);
        let parts = source.len().div_ceil(PART_BYTES);
        for_each(workers, parts, source.len(), |part| {
            let start = part * PART_BYTES;
            let end = (start + PART_BYTES).min(source.len());
            match &self.shards {
                None => self.part(source, start, end, pool),
                Some((places, first_epoch)) => self.part_to_shards(source, start, end, pool, (places, *first_epoch)),
            }
            Ok(())
        })
    }

    /// Zeroes the places of the elements from `first_element` to the end of one epoch.
    pub(super) fn zero_rest(&self, views: &Views<'_>) -> Result<(), DeviceError> {
        if !views.is_backed(0) {
            return Ok(());
        }
        let region = views.write_all(0)?;
        let element_bytes = self.geometry.dtype.size_bytes();
        let zeros = [0; 4096];
        let mut at = self.first_element;
        while at < self.geometry.epoch_input_elements {
            let count = (self.geometry.epoch_input_elements - at).min((zeros.len() / element_bytes) as u64);
            let zeros = &zeros[..count as usize * element_bytes];
            let scatter = &self.geometry.levels[0].scatter;
            match &self.shards {
                None => scatter.scatter(at, zeros, region, element_bytes),
                Some((places, epoch)) => {
                    let (batch, bytes) = (region.as_mut_ptr(), region.len());
                    // SAFETY: the batch is exclusively borrowed; `scatter_to_shards` checks that the places are inside it.
                    unsafe { scatter.scatter_to_shards(at, zeros, batch, bytes, (places, *epoch), element_bytes) };
                }
            }
            at += count;
        }
        Ok(())
    }

    /// Splits bytes `start..end` of the input at the epochs: of each part its epoch, first element and bytes.
    fn epochs<'a>(&self, source: &'a [u8], start: usize, end: usize) -> impl Iterator<Item = (u64, u64, &'a [u8])> {
        let element_bytes = self.geometry.dtype.size_bytes() as u64;
        let epoch_bytes = self.geometry.epoch_input_elements * element_bytes;
        let first = self.first_element * element_bytes;
        let mut at = start;
        std::iter::from_fn(move || {
            let position = first + at as u64;
            let (epoch, within) = (position / epoch_bytes, position % epoch_bytes);
            let count = ((epoch_bytes - within) as usize).min(end - at);
            let part = (epoch, within / element_bytes, &source[at..at + count]);
            at += count;
            (count > 0).then_some(part)
        })
    }

    fn part_to_shards(&self, source: &[u8], start: usize, end: usize, batch: SharedBytes, places: (&Places, u64)) {
        let (places, first_epoch) = places;
        let (element_bytes, scatter) = (self.geometry.dtype.size_bytes(), &self.geometry.levels[0].scatter);
        for (epoch, first, input) in self.epochs(source, start, end) {
            let places = (places, first_epoch + epoch);
            // SAFETY: `scatter_to_shards` checks that the places are inside the batch; parts are disjoint in the image, the map is
            // injective, and no two chunks share a place.
            unsafe { scatter.scatter_to_shards(first, input, batch.as_ptr(), batch.len(), places, element_bytes) };
        }
    }

    fn part(&self, source: &[u8], start: usize, end: usize, pool: SharedBytes) {
        let (element_bytes, scatter) = (self.geometry.dtype.size_bytes(), &self.geometry.levels[0].scatter);
        let region_bytes = self.geometry.epoch_pool_bytes() as usize;
        for (epoch, first, input) in self.epochs(source, start, end) {
            let region = epoch as usize * region_bytes;
            assert!(region + region_bytes <= pool.len(), "the input reaches past the declared epochs");
            // SAFETY: `region` is inside the pool, checked above.
            let place = unsafe { pool.as_ptr().add(region) };
            // SAFETY: the region is inside the pool; parts are disjoint in the image, and the map is injective.
            unsafe { scatter.scatter_raw(first, input, place, region_bytes, element_bytes) };
        }
    }
}
