//! Settings from the environment, against a plain reading of what the table of settings says they accept.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prewire::{BuildError, Runtime, settings};

fuzz_target!(|text: &str| {
    // One line for each setting; the last one is always wrong, so that no runtime is ever built.
    let given: Vec<(&str, &str)> =
        settings::SETTINGS.iter().map(|setting| setting.environment).zip(text.split('\n')).collect();
    let poison = (settings::DATA_WAIT_MS.environment, "0");
    let value_of = |name: &str| {
        let given = given.iter().find(|(variable, _)| *variable == name);
        let value = if name == poison.0 { Some(poison.1) } else { given.map(|(_, value)| *value) };
        // An empty line leaves its setting unset.
        value.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let error = Runtime::builder().build_in(&value_of).expect_err("a wait of 0 ms is never accepted");
    let BuildError::Setting(error) = error else { panic!("another error: {error}") };

    let wrong = |name: &str| value_of(name).is_some_and(|value| !is_accepted(name, &value));
    assert!(wrong(&error.name), "refused, though right: {error}");
    assert_eq!(value_of(&error.name), Some(error.value.clone()), "another value is blamed: {error}");
    let first_wrong_but_last =
        settings::SETTINGS.iter().map(|setting| setting.environment).any(|name| name != poison.0 && wrong(name));
    assert_eq!(first_wrong_but_last, error.name != poison.0, "a wrong value passed: {text:?}");
});

/// What the table says, read by itself.
fn is_accepted(name: &str, value: &str) -> bool {
    let per_ring = |least: u64, most: u64| {
        let values: Option<Vec<u64>> = value.split(',').map(number).collect();
        values
            .filter(|values| matches!(values.len(), 1 | 4) && values.iter().all(|value| (least..=most).contains(value)))
    };
    let one = |least: u64, most: u64| number(value).is_some_and(|value| (least..=most).contains(&value));
    if name == settings::RING_TASK_WINDOW.environment {
        per_ring(4, 1 << 24).is_some_and(|values| values.iter().all(|value| value.count_ones() == 1))
    } else if name == settings::RING_HEAP.environment {
        per_ring(1024, u64::MAX).is_some_and(|values| {
            let times = 4 / values.len() as u128;
            times * values.iter().map(|&value| u128::from(value)).sum::<u128>() <= u128::from(u64::MAX)
        })
    } else if name == settings::RING_DEP_POOL.environment {
        per_ring(4, 1 << 30).is_some()
    } else if name == settings::INDEX_ENTRIES.environment {
        one(4, 1 << 28)
    } else {
        one(1, u64::MAX)
    }
}

/// Decimal digits, with or without a plus sign, with white space around them.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits.bytes().fold(0u128, |value, digit| (value * 10 + u128::from(digit - b'0')).min(1 << 100));
    u64::try_from(value).ok()
}
