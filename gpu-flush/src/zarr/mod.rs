//! Zarr v3 documents and the extent they advertise.
