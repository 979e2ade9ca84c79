//! Handles of streams, events and buffers: plain numbers that mean something to one device only.

use std::fmt;

/// A stream of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamId(pub u32);

/// An event of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId(pub u32);

/// A counter of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CounterId(pub u32);

/// A buffer of one device. Only a pool hands one out, inside a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BufferId(pub u32);

/// A name with an instance, such as `AGG_DONE[1]` or `chunk_pool[0]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    /// The name.
    pub name: &'static str,
    /// Which instance of it.
    pub index: u32,
}

impl Label {
    /// Instance `index` of `name`.
    #[must_use]
    pub const fn new(name: &'static str, index: u32) -> Self {
        Self { name, index }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[{}]", self.name, self.index)
    }
}
