//! The writer of several arrays that share one engine.

use super::appended::Appended;
use super::single::append;
use super::snapshot::Metrics;
use crate::error::Error;
use crate::geometry::{ArrayGeometry, MemoryEstimate};
use crate::schedule::{Array, Engine, Shape};

/// Streams several arrays through one engine, one epoch or more of each at a time.
#[derive(Debug)]
pub struct MultiWriter {
    engine: Engine,
    arrays: Vec<Array>,
    current: usize,
}

impl MultiWriter {
    pub(super) fn new(engine: Engine, arrays: Vec<Array>) -> Self {
        Self { engine, arrays, current: 0 }
    }

    /// The number of arrays.
    #[must_use]
    pub fn len(&self) -> usize {
        self.arrays.len()
    }

    /// Whether there are no arrays; there always is one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arrays.is_empty()
    }

    fn array(&self, index: usize) -> Result<&Array, Error> {
        let count = self.arrays.len();
        self.arrays.get(index).ok_or_else(|| Error::invalid_input(format!("there is no array {index}, only {count}")))
    }

    /// Takes `data` for array `index`; see [`Writer::append`](super::Writer::append).
    ///
    /// # Errors
    /// [`Error::NotFlushable`] when the array used before stands inside an epoch, nothing is taken then; else as for one array.
    /// The failure of one array is no failure of the others.
    pub fn update<'a>(&mut self, index: usize, data: &'a [u8]) -> Result<Appended<'a>, Error> {
        self.array(index)?.check()?;
        if index != self.current {
            let departing = &self.arrays[self.current];
            let missing_elements = departing.missing_elements();
            let ends =
                departing.broken.is_some() || departing.finish.flushed.is_some() || departing.room_elements() == 0;
            if missing_elements > 0 && !ends {
                return Err(Error::NotFlushable { departing: self.current, missing_elements });
            }
        }
        self.switch(index)?;
        append(&mut self.engine, &mut self.arrays[index], data)
    }

    /// Gives the engine to array `index`. What the array before left in flight is ended first; if that fails it is its failure.
    fn switch(&mut self, index: usize) -> Result<(), Error> {
        if index == self.current {
            return Ok(());
        }
        let departing = &mut self.arrays[self.current];
        if let Err(error) = self.engine.leave(departing) {
            tracing::error!(array = self.current, %error, "the array failed while it was left");
        }
        self.current = index;
        let array = &mut self.arrays[index];
        self.engine.bind(array).map_err(|error| array.latch(error.into()))
    }

    /// Flushes every array. All are flushed, also behind one that failed.
    ///
    /// # Errors
    /// The first failure, in the order of the arrays.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.each(|engine, array| engine.flush(array))
    }

    /// Flushes one array.
    ///
    /// # Errors
    /// Its first failure.
    pub fn flush_array(&mut self, index: usize) -> Result<(), Error> {
        self.array(index)?;
        self.one(index, |engine, array| engine.flush(array))
    }

    /// Closes every array. All are closed, also behind one that failed.
    ///
    /// # Errors
    /// The first failure, in the order of the arrays.
    pub fn close(&mut self) -> Result<(), Error> {
        self.each(|engine, array| engine.close(array))
    }

    fn one(&mut self, index: usize, end: impl Fn(&mut Engine, &mut Array) -> Result<(), Error>) -> Result<(), Error> {
        // Only an array with something left to flush needs the engine.
        let result = match self.arrays[index].finish.flushed {
            None => self.switch_to_flush(index),
            Some(_) => Ok(()),
        };
        let ended = end(&mut self.engine, &mut self.arrays[index]);
        ended.and(result)
    }

    /// As `switch`; an array left inside an epoch is flushed to its end there and then.
    fn switch_to_flush(&mut self, index: usize) -> Result<(), Error> {
        if index != self.current {
            let departing = &mut self.arrays[self.current];
            if departing.missing_elements() > 0 && departing.finish.flushed.is_none() {
                let _kept = self.engine.flush(departing);
            }
        }
        self.switch(index)
    }

    fn each(&mut self, end: impl Fn(&mut Engine, &mut Array) -> Result<(), Error>) -> Result<(), Error> {
        // The array that holds the engine goes first: it may stand inside an epoch.
        let current = self.current;
        let order = std::iter::once(current).chain((0..self.arrays.len()).filter(|index| *index != current));
        let mut failed: Option<(usize, Error)> = None;
        for index in order.collect::<Vec<_>>() {
            if let Err(error) = self.one(index, &end)
                && failed.as_ref().is_none_or(|(first, _)| index < *first)
            {
                failed = Some((index, error));
            }
        }
        failed.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Elements array `index` has taken; `None` when there is no such array.
    #[must_use]
    pub fn cursor(&self, index: usize) -> Option<u64> {
        self.arrays.get(index).map(|array| array.cursor)
    }

    /// The layout of array `index`.
    #[must_use]
    pub fn geometry(&self, index: usize) -> Option<&ArrayGeometry> {
        self.arrays.get(index).map(|array| &*array.geometry)
    }

    /// When batches of array `index` are drained.
    #[must_use]
    pub fn shape(&self, index: usize) -> Option<Shape> {
        self.arrays.get(index).map(|array| array.shape)
    }

    /// The memory array `index` needs; shared buffers have the size of the largest array's.
    #[must_use]
    pub fn memory(&self, index: usize) -> Option<&MemoryEstimate> {
        self.arrays.get(index).map(|array| &array.estimate)
    }

    /// What was done for array `index` so far.
    #[must_use]
    pub fn metrics(&self, index: usize) -> Option<Metrics> {
        self.arrays.get(index).map(|array| Metrics::of(&self.engine, array))
    }

    #[cfg(test)]
    pub(crate) fn parts(&mut self) -> (&mut Engine, &mut Vec<Array>) {
        (&mut self.engine, &mut self.arrays)
    }
}

impl Drop for MultiWriter {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::debug!(%error, "closed while dropping");
        }
        for array in &mut self.arrays {
            self.engine.abandon(array);
        }
        self.engine.destroy();
    }
}
