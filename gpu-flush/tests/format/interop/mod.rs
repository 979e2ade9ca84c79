//! Other implementations read what we wrote: zarrs in this process, zarr-python, tensorstore and the OME-NGFF tools in theirs.

mod cases;
mod environment;
mod python;
mod rust;
