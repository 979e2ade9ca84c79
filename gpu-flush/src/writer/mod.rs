//! Writers: one array with an engine of its own, or several that share one.

mod appended;
mod builder;
mod environment;
mod multi;
mod single;
mod snapshot;

pub use appended::{Appended, Status};
pub use builder::{WriterBuilder, memory_estimate};
pub use multi::MultiWriter;
pub use single::Writer;
pub use snapshot::{Metrics, Stalls};
