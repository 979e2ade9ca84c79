//! The simulated chip through its public face, driven by a scheduler small enough to see through.

mod rig;

mod blocks;
mod coherence;
mod conditions;
mod kernels;
mod lifecycle;
mod payloads;
mod recording;
mod registers;
mod threads;
mod together;
mod watching;
