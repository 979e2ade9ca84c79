//! Other implementations read what we wrote: zarrs in this process, zarr-python, tensorstore and the OME-NGFF tools in theirs.

mod cases;
pub(crate) mod environment;
mod python;
mod rust;
