//! What the environment says about a writer. A variable that is set wins over the option of the same meaning; a value that it
//! cannot have is an error, so that a misspelt one does not pass for the default.

use crate::config::DeviceChoice;
use crate::error::Error;
use crate::settings::{DEVICE, FORCE_GATE_OFF, Setting};

/// The device: the variable's, else `option`.
pub(super) fn device(option: DeviceChoice) -> Result<DeviceChoice, Error> {
    match value_of(&DEVICE).as_deref() {
        None => Ok(option),
        Some("cpu") => Ok(DeviceChoice::Cpu),
        Some("cuda") => Ok(DeviceChoice::Cuda),
        Some("auto") => Ok(DeviceChoice::Auto),
        Some(other) => Err(refused(&DEVICE, other)),
    }
}

/// Whether the gate is forced off: the variable's word, else `option`.
pub(super) fn force_gate_off(option: bool) -> Result<bool, Error> {
    match value_of(&FORCE_GATE_OFF).as_deref() {
        None => Ok(option),
        Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(other) => Err(refused(&FORCE_GATE_OFF, other)),
    }
}

fn value_of(setting: &Setting) -> Option<String> {
    std::env::var_os(setting.environment).map(|value| value.to_string_lossy().into_owned())
}

fn refused(setting: &Setting, value: &str) -> Error {
    let reason = format!("{value:?} is no value of it; use {}, or unset it for {}", setting.accepts, setting.default);
    Error::invalid_config(setting.environment, reason)
}
