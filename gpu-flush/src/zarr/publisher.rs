//! Writes the documents of one array: its level arrays, its group when it has a pyramid, and the groups above it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};

use super::document::{ArrayDocument, GroupDocument, array_document};
use crate::config::{ArrayConfig, CodecConfig};
use crate::error::Error;
use crate::geometry::ArrayGeometry;
use crate::ngff;
use crate::sink::{Fence, Sink, guarded};

/// The name of every document.
const DOCUMENT: &str = "zarr.json";
/// The attribute that belongs to the pyramid, not to the user.
const OME: &str = "ome";

/// The documents of one array, and which extent they show.
#[derive(Debug)]
pub struct Publisher {
    nodes: BTreeMap<String, Node>,
    levels: Vec<Level>,
    geometry: ArrayGeometry,
    interval: Duration,
    written: Option<Instant>,
    finished: bool,
}

#[derive(Debug)]
struct Node {
    document: Document,
    changed: bool,
}

#[derive(Debug)]
enum Document {
    Array(Box<ArrayDocument>),
    Group(GroupDocument),
}

#[derive(Debug)]
struct Level {
    path: String,
    /// Closed epochs that wait for their writes, oldest first.
    pending: VecDeque<(u64, Fence)>,
    /// Closed epochs whose writes have retired.
    retired_epochs: u64,
}

impl Publisher {
    /// The documents of `config`. `interval` is the least time between rewrites.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] when the user's attributes take the name of the OME block.
    pub fn new(config: &ArrayConfig, geometry: &ArrayGeometry, interval: Duration) -> Result<Self, Error> {
        if matches!(config.codec(), CodecConfig::Lz4 { .. }) {
            tracing::warn!(
                array = config.name(),
                "lz4 is stored as numcodecs.lz4, which zarr-python reads and tensorstore and zarrs do not; zstd is read by all"
            );
        }
        let mut nodes = BTreeMap::new();
        let group = |attributes| Node { document: Document::Group(GroupDocument::new(attributes)), changed: true };
        let mut above = Some(config.name());
        while let Some(path) = above.filter(|path| !path.is_empty()) {
            above = Some(path.rsplit_once('/').map_or("", |(parent, _)| parent));
            nodes.insert(above.unwrap_or("").to_owned(), group(Map::new()));
        }
        if geometry.is_multiscale() {
            let mut attributes = config.attributes().clone();
            if attributes.insert(OME.into(), ngff::multiscale(config, geometry)).is_some() {
                return Err(Error::invalid_config("attributes", "\"ome\" is written by the pyramid; use another key"));
            }
            nodes.insert(config.name().to_owned(), group(attributes));
        }
        let mut levels = Vec::with_capacity(geometry.levels.len());
        for (index, level) in geometry.levels.iter().enumerate() {
            let (path, attributes) = match geometry.is_multiscale() {
                true => (join(config.name(), &index.to_string()), Map::new()),
                false => (config.name().to_owned(), config.attributes().clone()),
            };
            let document = Document::Array(Box::new(array_document(config, level, 0, attributes)));
            nodes.insert(path.clone(), Node { document, changed: true });
            levels.push(Level { path, pending: VecDeque::with_capacity(8), retired_epochs: 0 });
        }
        Ok(Publisher { nodes, levels, geometry: geometry.clone(), interval, written: None, finished: false })
    }

    /// What stands before the keys of a level's shards: its node's path and a slash, or nothing at the root.
    #[must_use]
    pub fn key_prefix(&self, level: usize) -> String {
        join(&self.levels[level].path, "")
    }

    /// Writes every document, groups before what they hold. The extents are 0.
    ///
    /// # Errors
    ///
    /// The sink's.
    pub fn create(&mut self, sink: &dyn Sink) -> Result<(), Error> {
        self.write_changed(sink)
    }

    /// Notes that `level` has `closed_epochs` epochs in closed shards, whose writes come before `fence`.
    pub fn closed(&mut self, level: usize, closed_epochs: u64, fence: Fence) {
        let level = &mut self.levels[level];
        let known = level.pending.back().map_or(level.retired_epochs, |(epochs, _)| *epochs);
        if closed_epochs > known {
            level.pending.push_back((closed_epochs, fence));
        }
    }

    /// Rewrites the documents of levels that grew by finished shards, if the interval has passed. Returns whether any was written.
    ///
    /// # Errors
    ///
    /// The sink's.
    pub fn update(&mut self, sink: &dyn Sink) -> Result<bool, Error> {
        self.take_retired(sink);
        let due = self.interval.is_zero() || self.written.is_none_or(|written| written.elapsed() >= self.interval);
        let changed = due && self.nodes.values().any(|node| node.changed);
        if changed {
            self.write_changed(sink)?;
        }
        Ok(changed)
    }

    /// Rewrites the documents of levels that grew by finished shards at once: what an array that failed can still show.
    ///
    /// # Errors
    ///
    /// The sink's.
    pub fn settle(&mut self, sink: &dyn Sink) -> Result<(), Error> {
        self.take_retired(sink);
        self.write_changed(sink)
    }

    /// Moves the extents of levels past the closed epochs whose writes have retired.
    fn take_retired(&mut self, sink: &dyn Sink) {
        for index in 0..self.levels.len() {
            let level = &mut self.levels[index];
            let before = level.retired_epochs;
            while let Some(&(epochs, fence)) = level.pending.front() {
                if !sink.fence_retired(fence) {
                    break;
                }
                level.retired_epochs = epochs;
                level.pending.pop_front();
            }
            if level.retired_epochs != before && !self.finished {
                let extent = self.geometry.levels[index].append_extent(level.retired_epochs);
                self.set_extent(index, extent);
            }
        }
    }

    /// Writes the final extents after `cursor` elements were accepted. Call it when every write has retired.
    ///
    /// # Errors
    ///
    /// The sink's.
    pub fn finish(&mut self, sink: &dyn Sink, cursor: u64) -> Result<(), Error> {
        for index in 0..self.levels.len() {
            let extent = self.geometry.final_extent(index, cursor);
            self.set_extent(index, extent);
        }
        self.finished = true;
        self.write_changed(sink)
    }

    /// The extent of dimension 0 that `level`'s document shows or will show at its next rewrite.
    #[must_use]
    pub fn extent(&self, level: usize) -> u64 {
        match &self.nodes[&self.levels[level].path].document {
            Document::Array(array) => array.shape[0],
            Document::Group(_) => unreachable!("a level is an array"),
        }
    }

    /// Sets an attribute of the node at `path` (empty for the root) from JSON text. It is written with the node's next rewrite.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is no such node, the text is not JSON, or the key belongs to the pyramid; the old value stays.
    pub fn set_attribute(&mut self, path: &str, key: &str, json: &str) -> Result<(), Error> {
        let value: Value = serde_json::from_str(json)
            .map_err(|error| Error::invalid_input(format!("attribute {key:?} is not JSON: {error}")))?;
        let known = self.nodes.keys().map(|path| format!("{path:?}")).collect::<Vec<_>>().join(", ");
        let node = self
            .nodes
            .get_mut(path)
            .ok_or_else(|| Error::invalid_input(format!("there is no node {path:?}; there are {known}")))?;
        let attributes = match &mut node.document {
            Document::Array(array) => &mut array.attributes,
            Document::Group(group) => &mut group.attributes,
        };
        if key == OME && attributes.contains_key(OME) {
            return Err(Error::invalid_input("\"ome\" is written by the pyramid; use another key"));
        }
        if attributes.get(key) != Some(&value) {
            attributes.insert(key.to_owned(), value);
            node.changed = true;
        }
        Ok(())
    }

    fn set_extent(&mut self, level: usize, extent: u64) {
        let node = self.nodes.get_mut(&self.levels[level].path).expect("every level has a node");
        if let Document::Array(array) = &mut node.document
            && array.shape[0] != extent
        {
            array.shape[0] = extent;
            node.changed = true;
        }
    }

    fn write_changed(&mut self, sink: &dyn Sink) -> Result<(), Error> {
        for (path, node) in self.nodes.iter_mut().filter(|(_, node)| node.changed) {
            let key = join(path, DOCUMENT);
            let text = match &node.document {
                Document::Array(array) => text(array),
                Document::Group(group) => text(group),
            };
            guarded(&key, || sink.put(&key, &text))?;
            node.changed = false;
        }
        self.written = Some(Instant::now());
        Ok(())
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

fn text(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(document).expect("a document has string keys and finite numbers only")
}
