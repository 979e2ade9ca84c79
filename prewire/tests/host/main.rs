//! The host runtime: workers as processes and threads behind the engine.

mod rig;

mod basics;
mod data;
mod death;
mod failure;
mod order;
mod recursion;
mod room;
mod start;
