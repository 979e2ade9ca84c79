//! The scheduler over small chips made for tests: one whose blocks a test ends by hand, one that runs kernels inline, one that runs them on threads. Graphs
//! are made by hand, straight in the slots.

mod chip;
mod complete;
mod deferred;
mod dispatch;
mod dummies;
mod failure;
mod gang;
mod mix;
mod random;
mod ready;
mod standstill;
mod watchdog;
mod world;
