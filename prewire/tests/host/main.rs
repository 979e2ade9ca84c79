//! The host runtime: workers as processes and threads behind the engine.

mod rig;

mod basics;
mod failure;
