//! Where the chunks of a batch stand when nothing is compressed: each place in its shard is known before the first element comes,
//! so elements are scattered straight into the shards and no pass packs them afterwards.

use super::batch::BatchLayout;
use super::level::LevelGeometry;

/// The place of every chunk of one level in a batch laid out by shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// For each chunk of an epoch the first byte of its place in the batch's first epoch, behind the tail its shard carries.
    first: Vec<u64>,
    /// The same without tails.
    bare: Vec<u64>,
    /// Bytes that an epoch takes in the chunk's shard: from one place to the next epoch's.
    step: Vec<u64>,
    chunk_bytes: u64,
    epochs: u64,
    epochs_per_shard: u64,
    page_bytes: u64,
    batch_bytes: u64,
}

impl Places {
    /// The places of `level`, the only one of its array, in batches of at most `epochs` epochs. The layout gives each shard a region.
    #[must_use]
    pub fn new(level: &LevelGeometry, layout: &BatchLayout, epochs: u32, chunk_bytes: usize) -> Self {
        let (capacity, inner, chunk_bytes) =
            (layout.shard_capacities[0], level.inner_chunks_per_shard, chunk_bytes as u64);
        // Shards at the array's edge have fewer chunks, and those stand without gaps.
        let mut order: Vec<(u32, usize)> =
            level.positions.iter().enumerate().map(|(chunk, &position)| (position, chunk)).collect();
        order.sort_unstable();
        let shard_of = |position: u32| u64::from(position) / inner;
        let (mut bare, mut step) = (vec![0; order.len()], vec![0; order.len()]);
        for shard in order.chunk_by(|left, right| shard_of(left.0) == shard_of(right.0)) {
            for (rank, &(position, chunk)) in shard.iter().enumerate() {
                bare[chunk] = shard_of(position) * capacity + rank as u64 * chunk_bytes;
                step[chunk] = shard.len() as u64 * chunk_bytes;
            }
        }
        Places {
            first: bare.clone(),
            bare,
            step,
            chunk_bytes,
            epochs: u64::from(epochs),
            epochs_per_shard: level.epochs_per_shard,
            page_bytes: layout.page_bytes as u64,
            batch_bytes: capacity * level.inner_shards,
        }
    }

    /// Starts a batch behind `epochs_before` epochs: what a shard has of them below a page stands before its first chunk.
    pub fn begin(&mut self, epochs_before: u64) {
        if self.page_bytes == 0 {
            return;
        }
        let in_shard = epochs_before % self.epochs_per_shard;
        for ((first, bare), step) in self.first.iter_mut().zip(&self.bare).zip(&self.step) {
            *first = bare + in_shard * step % self.page_bytes;
        }
    }

    /// Bytes of a batch.
    #[must_use]
    pub fn batch_bytes(&self) -> u64 {
        self.batch_bytes
    }

    /// # Panics
    ///
    /// When the region of an epoch has other chunks than these, the batch has no epoch `epoch`, or the places reach past its bytes.
    pub(super) fn check(&self, region_bytes: u64, epoch: u64, batch_bytes: u64) {
        assert_eq!(region_bytes, self.first.len() as u64 * self.chunk_bytes, "the places are another geometry's");
        assert!(epoch < self.epochs, "the input reaches past the batch");
        assert!(self.batch_bytes <= batch_bytes, "the places reach past the batch");
    }

    pub(super) fn target(&self, batch: *mut u8, epoch: u64) -> Sharded<'_> {
        let power = self.chunk_bytes.is_power_of_two().then(|| self.chunk_bytes.trailing_zeros());
        Sharded { batch, places: self, epoch, power }
    }
}

/// Where an element of an epoch's region is in memory.
pub(super) trait Target: Copy {
    /// The place of region element `element`; the elements of one chunk stand one behind the other.
    ///
    /// # Safety
    ///
    /// The element is one of the region's, and the memory the target was made of is alive.
    unsafe fn at<const N: usize>(self, element: u64) -> *mut [u8; N];
}

/// One chunk behind the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dense(pub(super) *mut u8);

impl Target for Dense {
    #[inline(always)]
    unsafe fn at<const N: usize>(self, element: u64) -> *mut [u8; N] {
        // SAFETY: the caller's promise.
        unsafe { self.0.cast::<[u8; N]>().add(element as usize) }
    }
}

/// Each chunk at its place in its shard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sharded<'a> {
    batch: *mut u8,
    places: &'a Places,
    epoch: u64,
    /// The chunk's bytes are two to this power.
    power: Option<u32>,
}

impl Target for Sharded<'_> {
    #[inline(always)]
    unsafe fn at<const N: usize>(self, element: u64) -> *mut [u8; N] {
        let byte = element * N as u64;
        let (chunk, within) = match self.power {
            Some(power) => (byte >> power, byte & ((1 << power) - 1)),
            None => (byte / self.places.chunk_bytes, byte % self.places.chunk_bytes),
        };
        let chunk = chunk as usize;
        let place = self.places.first[chunk] + self.epoch * self.places.step[chunk] + within;
        // SAFETY: `Places::check` proved that every chunk's place is inside the batch.
        unsafe { self.batch.add(place as usize).cast() }
    }
}
