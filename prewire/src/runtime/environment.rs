//! Settings from the environment: one value for all rings or four, and an error that names the variable and the value whenever one is wrong.

use prewire_runtime_core::id::RING_COUNT;
use prewire_runtime_core::settings::Setting;
use std::time::Duration;
use thiserror::Error;

/// A setting has a value that it cannot have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name} is '{value}'; it takes {accepts}")]
pub struct SettingError {
    /// The environment variable, or the builder's option.
    pub name: String,
    /// What was given.
    pub value: String,
    /// What would be accepted.
    pub accepts: String,
}

/// Where a value came from, so that an error names what its user has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Builder,
    Environment,
}

pub(super) fn refuse(setting: &Setting, origin: Origin, value: impl ToString) -> SettingError {
    let name = match origin {
        Origin::Builder => setting.builder,
        Origin::Environment => setting.environment,
    };
    SettingError { name: name.to_owned(), value: value.to_string(), accepts: setting.accepts.to_owned() }
}

/// Reads variables; a closure, so that tests need not touch the process's environment.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The four values of a per-ring setting: the builder's, else the environment's, else the default.
pub(super) fn per_ring(
    setting: &Setting,
    given: Option<[u64; RING_COUNT]>,
    lookup: Lookup<'_>,
    default: u64,
    valid: impl Fn(&[u64; RING_COUNT]) -> bool,
) -> Result<[u64; RING_COUNT], SettingError> {
    if let Some(values) = given {
        return if valid(&values) { Ok(values) } else { Err(refuse(setting, Origin::Builder, join(&values))) };
    }
    let Some(text) = lookup(setting.environment) else {
        return Ok([default; RING_COUNT]);
    };
    let parsed: Option<Vec<u64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    let values = match parsed.as_deref() {
        Some([one]) => Some([*one; RING_COUNT]),
        Some([a, b, c, d]) => Some([*a, *b, *c, *d]),
        _ => None,
    };
    values.filter(valid).ok_or_else(|| refuse(setting, Origin::Environment, text))
}

fn join(values: &[u64; RING_COUNT]) -> String {
    values.map(|value| value.to_string()).join(",")
}

/// A single number.
pub(super) fn number(
    setting: &Setting,
    given: Option<u64>,
    lookup: Lookup<'_>,
    valid: impl Fn(u64) -> bool,
) -> Result<Option<u64>, SettingError> {
    if let Some(value) = given {
        return if valid(value) { Ok(Some(value)) } else { Err(refuse(setting, Origin::Builder, value)) };
    }
    let Some(text) = lookup(setting.environment) else {
        return Ok(None);
    };
    match text.trim().parse().ok().filter(|&value| valid(value)) {
        Some(value) => Ok(Some(value)),
        None => Err(refuse(setting, Origin::Environment, text)),
    }
}

/// A time of at least a millisecond.
pub(super) fn time(setting: &Setting, given: Option<Duration>, lookup: Lookup<'_>) -> Result<Duration, SettingError> {
    if let Some(time) = given {
        return if time.is_zero() { Err(refuse(setting, Origin::Builder, "0")) } else { Ok(time) };
    }
    let default = setting.default.parse().expect("the table of settings gives times in milliseconds");
    Ok(Duration::from_millis(number(setting, None, lookup, |value| value > 0)?.unwrap_or(default)))
}

/// A power of two within the limits of a window.
pub(super) fn is_window(values: &[u64; RING_COUNT]) -> bool {
    values.iter().all(|&value| value.is_power_of_two() && (4..=1 << 24).contains(&value))
}

/// Heaps of at least 1024 bytes whose sum a 64-bit number holds.
pub(super) fn is_heap(values: &[u64; RING_COUNT]) -> bool {
    values.iter().all(|&value| value >= 1024)
        && values.iter().try_fold(0u64, |sum, &value| sum.checked_add(value)).is_some()
}

/// Edge pools within their limits.
pub(super) fn is_edge_pool(values: &[u64; RING_COUNT]) -> bool {
    values.iter().all(|value| (4..=1 << 30).contains(value))
}

/// The default of a numeric setting.
pub(super) fn default_of(setting: &Setting) -> u64 {
    setting.default.parse().unwrap_or_else(|_| panic!("{} has no numeric default", setting.environment))
}
