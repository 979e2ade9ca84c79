//! The shards of one level that are open at once, fed batch by batch in order.

use super::index::ShardIndex;
use crate::error::Error;
use crate::geometry::LevelGeometry;
use crate::sink::{ShardFile, Sink, StableBytes, guarded};

/// One level's part of a batch, on the host. Entries are shard-major, then epoch-major: entry
/// `(shard × active + epoch) × inner_chunks_per_shard + place`.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// Epochs of this level in the batch.
    pub active: u64,
    /// The level's segment of the batch.
    pub data: StableBytes,
    /// Bytes from one shard's region to the next in `data`; 0 when all chunks are packed from its start.
    pub shard_capacity: u64,
    /// Offset of each entry's chunk in `data`.
    pub offsets: &'a [u64],
    /// Stored bytes of each entry's chunk; 0 where there is no chunk.
    pub sizes: &'a [u64],
}

/// What a delivery did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Bytes given to the sink, indexes and padding included.
    pub bytes: u64,
    /// Writes handed over without copying.
    pub stable_writes: u64,
    /// Writes that the sink had to copy.
    pub copied_writes: u64,
    /// Shards ended.
    pub closed_shards: u64,
}

/// The shards of one level. Every buffer has its final size after creation.
#[derive(Debug)]
pub struct ShardSet {
    level: LevelGeometry,
    key_prefix: String,
    page_bytes: usize,
    shards: Vec<OpenShard>,
    tails: Vec<u8>,
    tail_lengths: Vec<u32>,
    footer: Vec<u8>,
    /// Which shard along the append dimensions is being written.
    generation: u64,
    /// Epochs of it delivered so far.
    epoch: u64,
}

#[derive(Debug)]
struct OpenShard {
    file: Option<Box<dyn ShardFile>>,
    key: String,
    /// Bytes written, the tail not included.
    cursor: u64,
    /// Bytes of this batch's region used by earlier runs of the same batch.
    consumed: u64,
    index: ShardIndex,
}

impl ShardSet {
    /// The shards of `level`, whose keys are put behind `key_prefix` (empty, or ending in `/`). `page_bytes` is the sink's.
    #[must_use]
    pub fn new(level: &LevelGeometry, key_prefix: &str, page_bytes: usize) -> Self {
        let chunks = level.shard_chunks() as usize;
        let shards = level.inner_shards as usize;
        let open =
            || OpenShard { file: None, key: String::new(), cursor: 0, consumed: 0, index: ShardIndex::new(chunks) };
        let footer = (page_bytes + ShardIndex::encoded_bytes(chunks)).next_multiple_of(page_bytes.max(1));
        ShardSet {
            level: LevelGeometry { positions: Vec::new(), ..level.clone() },
            key_prefix: key_prefix.to_owned(),
            page_bytes,
            shards: (0..shards).map(|_| open()).collect(),
            tails: vec![0; shards * page_bytes],
            tail_lengths: vec![0; shards],
            footer: Vec::with_capacity(footer),
            generation: 0,
            epoch: 0,
        }
    }

    /// For each open shard the bytes below a page that wait for the next batch; they must stand before the shard's first
    /// chunk in the next delivery's region.
    #[must_use]
    pub fn tail_lengths(&self) -> &[u32] {
        &self.tail_lengths
    }

    /// The waiting bytes: one page per open shard.
    #[must_use]
    pub fn tails(&self) -> &[u8] {
        &self.tails
    }

    /// Epochs of this level whose shards are closed, counted from the first.
    #[must_use]
    pub fn closed_epochs(&self) -> u64 {
        self.generation * self.level.epochs_per_shard
    }

    /// Epochs of this level delivered so far, in closed shards or not.
    #[must_use]
    pub fn delivered_epochs(&self) -> u64 {
        self.closed_epochs() + self.epoch
    }

    /// For each open shard the bytes written to its file so far.
    #[must_use]
    pub fn cursors(&self) -> Vec<u64> {
        self.shards.iter().map(|shard| shard.cursor).collect()
    }

    /// Gives one batch to the sink, closing the shards it completes.
    ///
    /// # Errors
    ///
    /// The sink's error, with the key of the shard. The set is then unusable.
    ///
    /// # Panics
    ///
    /// When the delivery's slices do not fit its `active` epochs.
    pub fn deliver(&mut self, sink: &dyn Sink, batch: &Delivery<'_>) -> Result<Delivered, Error> {
        let entries = (self.level.covering_count * batch.active) as usize;
        assert!(batch.offsets.len() >= entries && batch.sizes.len() >= entries, "{entries} entries are needed");
        let mut delivered = Delivered::default();
        for shard in &mut self.shards {
            shard.consumed = 0;
        }
        let mut done = 0;
        while done < batch.active {
            let run = (self.level.epochs_per_shard - self.epoch).min(batch.active - done);
            for shard in 0..self.shards.len() {
                self.run(sink, batch, shard, done, run, &mut delivered)?;
            }
            done += run;
            self.epoch += run;
            if self.epoch == self.level.epochs_per_shard {
                self.generation += 1;
                self.epoch = 0;
            }
        }
        Ok(delivered)
    }

    /// Delivers `run` epochs from `first` on to one shard, and ends it when they are its last.
    fn run(
        &mut self,
        sink: &dyn Sink,
        batch: &Delivery<'_>,
        shard: usize,
        first: u64,
        run: u64,
        delivered: &mut Delivered,
    ) -> Result<(), Error> {
        self.open(sink, shard)?;
        let inner = self.level.inner_chunks_per_shard;
        let entry = ((shard as u64 * batch.active + first) * inner) as usize;
        let entries = entry..entry + (run * inner) as usize;
        let open = &mut self.shards[shard];
        let start = match batch.shard_capacity {
            0 => batch.offsets[entries.start],
            capacity => shard as u64 * capacity + open.consumed,
        };
        // Only the first run of a batch finds a tail: a run that leaves one is the last, and closing a shard clears it.
        let mut total = u64::from(self.tail_lengths[shard]);
        let slot = (self.epoch * inner) as usize;
        for (place, index) in entries.enumerate() {
            let size = batch.sizes[index];
            if size > 0 {
                open.index.set(slot + place, open.cursor + (batch.offsets[index] - start), size);
                total += size;
            }
        }
        open.consumed += total;
        let page = self.page_bytes.max(1) as u64;
        let whole = total / page * page;
        let data = batch.data.slice(start as usize..(start + total) as usize);
        let file = open.file.as_mut().expect("the shard was opened above");
        write_data(file.as_mut(), &open.key, open.cursor, data.slice(0..whole as usize), self.page_bytes, delivered)?;
        open.cursor += whole;
        let rest = data.slice(whole as usize..total as usize);
        if self.epoch + run == self.level.epochs_per_shard {
            self.footer.clear();
            self.footer.extend_from_slice(rest.as_slice());
            return self.close(shard, delivered);
        }
        if self.page_bytes > 0 {
            self.tails[shard * self.page_bytes..][..rest.len()].copy_from_slice(rest.as_slice());
            self.tail_lengths[shard] = rest.len() as u32;
        }
        Ok(())
    }

    /// Ends every shard that is open, with missing entries for the epochs that never came.
    ///
    /// # Errors
    ///
    /// The sink's error, with the key of the shard.
    pub fn close_partial(&mut self, sink: &dyn Sink) -> Result<Delivered, Error> {
        let mut delivered = Delivered::default();
        if self.epoch == 0 {
            return Ok(delivered);
        }
        for shard in 0..self.shards.len() {
            self.open(sink, shard)?;
            let tail = shard * self.page_bytes;
            self.footer.clear();
            self.footer.extend_from_slice(&self.tails[tail..tail + self.tail_lengths[shard] as usize]);
            self.close(shard, &mut delivered)?;
        }
        self.generation += 1;
        self.epoch = 0;
        Ok(delivered)
    }

    fn open(&mut self, sink: &dyn Sink, shard: usize) -> Result<(), Error> {
        let open = &mut self.shards[shard];
        if open.file.is_none() {
            let flat = self.generation * self.level.inner_shards + shard as u64;
            open.key = format!("{}{}", self.key_prefix, self.level.shard_key(flat));
            open.file = Some(guarded(&open.key, || sink.open(&open.key))?);
        }
        Ok(())
    }

    /// Writes the footer, which holds the last bytes below a page, behind the shard's data, and ends the shard.
    fn close(&mut self, shard: usize, delivered: &mut Delivered) -> Result<(), Error> {
        let open = &mut self.shards[shard];
        open.index.encode_into(&mut self.footer);
        let length = open.cursor + self.footer.len() as u64;
        if self.page_bytes > 0 {
            self.footer.resize(self.footer.len().next_multiple_of(self.page_bytes), 0);
        }
        let mut file = open.file.take().expect("the caller opened the shard");
        guarded(&open.key, || {
            file.write(open.cursor, &self.footer)?;
            if self.page_bytes > 0 {
                file.truncate(length)?;
            }
            file.finalize()
        })?;
        delivered.bytes += self.footer.len() as u64;
        delivered.copied_writes += 1;
        delivered.closed_shards += 1;
        open.cursor = 0;
        open.index.clear();
        self.tail_lengths[shard] = 0;
        Ok(())
    }
}

/// Hands whole pages over: without copying where the sink takes any address or the source is aligned to its pages.
fn write_data(
    file: &mut dyn ShardFile,
    key: &str,
    offset: u64,
    data: StableBytes,
    page_bytes: usize,
    delivered: &mut Delivered,
) -> Result<(), Error> {
    if data.is_empty() {
        return Ok(());
    }
    delivered.bytes += data.len() as u64;
    if page_bytes == 0 || (data.as_ptr() as usize).is_multiple_of(page_bytes) {
        delivered.stable_writes += 1;
        guarded(key, || file.write_stable(offset, data))
    } else {
        delivered.copied_writes += 1;
        guarded(key, || file.write(offset, data.as_slice()))
    }
}
