//! What happens while a thread or a process is held at one of the engine's pause points, and behind it.

#[path = "../../../prewire/tests/host/rig.rs"]
#[allow(dead_code, reason = "it is shared with other test binaries")]
mod rig;

#[path = "../../../prewire/tests/host_rows/stage.rs"]
#[allow(dead_code, reason = "as above")]
mod stage;

mod asleep;
mod causes;
mod failure;
mod handover;
mod index;
mod killed;
mod points;
mod retain;
mod room;
mod staged;
