//! The A2/A3 chip: topology, register map, timing, quirks.
