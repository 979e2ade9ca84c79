//! OME-NGFF 0.5 multiscale metadata.
