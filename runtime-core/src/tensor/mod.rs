//! Tensors: element types, descriptors, views that never copy, and the exact question which bytes two views share.

mod argument;
mod data_type;
mod descriptor;
mod error;
mod footprint;
mod layout;
mod overlap;
mod region;
mod view;

pub use argument::{ArgumentTag, TensorArgument};
pub use data_type::DataType;
pub use descriptor::Tensor;
pub use error::TensorError;
pub use footprint::Footprint;
pub use layout::{MAX_BUFFER_BYTES, MAX_DIMENSIONS, TensorLayout};
pub use overlap::Overlap;
pub use region::Region;
