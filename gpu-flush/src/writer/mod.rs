//! The writer: append, flush, close, for one array and for several that share an engine.
