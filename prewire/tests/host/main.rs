//! The host runtime: workers as processes and threads behind the engine.

mod rig;

mod basics;
mod data;
mod death;
mod end;
mod failure;
mod order;
mod recursion;
mod register;
mod room;
mod start;
