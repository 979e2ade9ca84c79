//! Geometries: each distinct footprint among the live regions has a number, so that equal regions compare as numbers do.

use super::hash::{bucket_bits, bucket_of_hash, fold};
use super::pool::{NONE, Pool};
use prewire_runtime_core::tensor::{Footprint, Tensor, TensorLayout};

const CACHED_LAYOUTS: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Geometry {
    footprint: Footprint,
    hash: u64,
    users: u32,
    next: u32,
}

/// A layout seen before and its geometry, [`NONE`] if it covers nothing.
#[derive(Clone, Copy, Debug)]
struct CachedLayout {
    layout: TensorLayout,
    geometry: u32,
}

/// All geometries in use. An entry, a grid and a cached layout each count as a user; the last one frees the number. A layout
/// that leaves the cache stays a user until the next task begins, so that the numbers in pending probes are good.
#[derive(Debug)]
pub(super) struct Geometries {
    pool: Pool<Geometry>,
    buckets: Vec<u32>,
    bits: u32,
    cache: Box<[Option<CachedLayout>; CACHED_LAYOUTS]>,
    evicted: Vec<u32>,
}

impl Geometries {
    /// Room for the geometries of so many entries, grids and kinds, and of a task's arguments.
    pub(super) fn new(users: usize, arguments: usize) -> Geometries {
        let bits = bucket_bits(users / 8);
        Geometries {
            pool: Pool::new(users + CACHED_LAYOUTS + 2 * arguments),
            buckets: vec![NONE; 1 << bits],
            bits,
            cache: Box::new([None; CACHED_LAYOUTS]),
            evicted: Vec::with_capacity(2 * arguments),
        }
    }

    /// Frees what only earlier tasks' probes needed.
    #[inline]
    pub(super) fn begin(&mut self) {
        while let Some(geometry) = self.evicted.pop() {
            self.drop(geometry);
        }
    }

    #[inline]
    pub(super) fn footprint(&self, geometry: u32) -> &Footprint {
        &self.pool[geometry].footprint
    }

    /// The number of the tensor's geometry, good until the next task begins, or [`NONE`] for a tensor without a byte.
    #[inline]
    pub(super) fn intern(&mut self, tensor: &Tensor) -> u32 {
        let place = tensor.layout_hash() as usize % CACHED_LAYOUTS;
        match &self.cache[place] {
            Some(cached) if cached.layout.same_as(tensor.layout()) => cached.geometry,
            _ => self.intern_new(place, tensor.layout()),
        }
    }

    #[cold]
    #[inline(never)]
    fn intern_new(&mut self, place: usize, layout: &TensorLayout) -> u32 {
        let geometry = match Footprint::new(layout) {
            None => NONE,
            Some(footprint) => self.find_or_add(footprint),
        };
        if let Some(CachedLayout { geometry: old, .. }) =
            self.cache[place].replace(CachedLayout { layout: *layout, geometry })
            && old != NONE
        {
            self.drop_later(old);
        }
        geometry
    }

    /// The footprint's number, with one more user.
    fn find_or_add(&mut self, footprint: Footprint) -> u32 {
        let hash = hash_of(&footprint);
        let bucket = bucket_of_hash(hash, self.bits);
        let mut geometry = self.buckets[bucket];
        while geometry != NONE {
            let known = &self.pool[geometry];
            if known.hash == hash && known.footprint == footprint {
                self.hold(geometry);
                return geometry;
            }
            geometry = known.next;
        }
        let next = self.buckets[bucket];
        let geometry = self.pool.take(Geometry { footprint, hash, users: 1, next });
        self.buckets[bucket] = geometry;
        geometry
    }

    #[inline]
    pub(super) fn hold(&mut self, geometry: u32) {
        self.pool[geometry].users += 1;
    }

    /// Takes one user from a geometry that probes of the pending task may name.
    pub(super) fn drop_later(&mut self, geometry: u32) {
        self.evicted.push(geometry);
    }

    #[inline]
    pub(super) fn drop(&mut self, geometry: u32) {
        let users = &mut self.pool[geometry].users;
        *users -= 1;
        if *users == 0 {
            self.free(geometry);
        }
    }

    #[cold]
    fn free(&mut self, geometry: u32) {
        let Geometry { hash, next, .. } = self.pool[geometry];
        let bucket = bucket_of_hash(hash, self.bits);
        if self.buckets[bucket] == geometry {
            self.buckets[bucket] = next;
        } else {
            let mut before = self.buckets[bucket];
            while self.pool[before].next != geometry {
                before = self.pool[before].next;
            }
            self.pool[before].next = next;
        }
        self.pool.give(geometry);
    }

    pub(super) fn clear(&mut self) {
        self.pool.clear();
        self.buckets.fill(NONE);
        self.cache.fill(None);
        self.evicted.clear();
    }
}

fn hash_of(footprint: &Footprint) -> u64 {
    let steps = footprint.strides_bytes().iter().zip(footprint.counts());
    steps.fold(footprint.run_bytes(), |hash, (&stride, &count)| fold(fold(hash, stride), count))
}
