//! The table of edges: who must wait for whom, by name, and what would break otherwise.
//!
//! Every order between streams, the host and the sink is one of these. Pools are the only users: a stage never sees an edge.

mod mutation;
mod ordering;
mod table;

pub use table::{Edge, EdgeDescriptor, EdgeKind, Place};

pub(crate) use mutation::{Mutation, Mutations};
pub(crate) use ordering::{Edges, Streams};
