//! The table of the writer's settings: what the environment may set, and what holds when it does not.
//!
//! The README lists it; a check compares the two.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The environment variable.
    pub environment: &'static str,
    /// The option of [`EngineConfig`](crate::EngineConfig) with the same meaning, over which the variable wins.
    pub builder: &'static str,
    /// What is accepted.
    pub accepts: &'static str,
    /// What holds when neither is given.
    pub default: &'static str,
    /// What it is for.
    pub meaning: &'static str,
}

/// The device.
pub const DEVICE: Setting = Setting {
    environment: "PREWIRE_FLUSH_DEVICE",
    builder: "device",
    accepts: "cpu, cuda or auto",
    default: "cpu",
    meaning: "the device that a writer of `gpu-flush` runs on",
};

/// The gate of value waits.
pub const FORCE_GATE_OFF: Setting = Setting {
    environment: "PREWIRE_FLUSH_FORCE_GATE_OFF",
    builder: "force_gate_off",
    accepts: "0 or 1",
    default: "0",
    meaning: "1: the schedule of a writer is chosen as if its device could not wait for a value",
};

/// All of them.
pub const SETTINGS: &[Setting] = &[DEVICE, FORCE_GATE_OFF];
