//! The A5 chip: topology, register map, timing, quirks.
