//! The scatter of input elements into their chunks, on the CPU device.

use std::sync::Arc;

use super::parallel::{SharedBytes, for_each};
use crate::device::DeviceError;
use crate::device::views::Views;
use crate::geometry::ArrayGeometry;

/// Bytes of input one worker takes at a time.
const PART_BYTES: usize = 256 << 10;

/// Tile and transpose: writes input elements to their chunks, over as many epochs as the input spans.
///
/// Accesses: \[0\] the chunk pool from the region of the first epoch to the end of the last one's, \[1\] the input, unless it
/// is borrowed.
#[derive(Debug, Clone)]
pub struct Scatter {
    /// Where elements go.
    pub geometry: Arc<ArrayGeometry>,
    /// Image element of the first epoch at which the input starts.
    pub first_element: u64,
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
            self.part(source, start, end, pool);
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
            self.geometry.levels[0].scatter.scatter(at, zeros, region, element_bytes);
            at += count;
        }
        Ok(())
    }

    fn part(&self, source: &[u8], start: usize, end: usize, pool: SharedBytes) {
        let element_bytes = self.geometry.dtype.size_bytes();
        let epoch_bytes = self.geometry.epoch_input_elements * element_bytes as u64;
        let region_bytes = self.geometry.epoch_pool_bytes() as usize;
        let scatter = &self.geometry.levels[0].scatter;
        let mut at = start;
        while at < end {
            let position = self.first_element * element_bytes as u64 + at as u64;
            let (epoch, within) = ((position / epoch_bytes) as usize, position % epoch_bytes);
            let count = ((epoch_bytes - within) as usize).min(end - at);
            let region = epoch * region_bytes;
            assert!(region + region_bytes <= pool.len(), "the input reaches past the declared epochs");
            // SAFETY: `region` is inside the pool, checked above.
            let first = unsafe { pool.as_ptr().add(region) };
            let (first_element, input) = (within / element_bytes as u64, &source[at..at + count]);
            // SAFETY: the region is inside the pool; parts are disjoint in the image, and the map is injective.
            unsafe { scatter.scatter_raw(first_element, input, first, region_bytes, element_bytes) };
            at += count;
        }
    }
}
