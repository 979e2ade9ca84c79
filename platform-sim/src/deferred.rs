//! The record in which a core leaves the conditions that its kernel registered: raw numbers, checked by the scheduler that reads them.

use prewire_runtime_core::kernel::Condition;
use prewire_runtime_core::platform::DeferError;

/// Conditions that one dispatch may register.
pub(crate) const MOST_CONDITIONS: usize = 64;

/// The kind of a condition on a 32-bit counter.
const COUNTER: u32 = 1;

#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Entry {
    counter: u64,
    expected: u32,
    kind: u32,
}

/// One dispatch's conditions.
#[derive(Debug)]
pub(crate) struct Slab {
    count: u32,
    /// Registrations beyond the last place.
    refused: u32,
    entries: Box<[Entry; MOST_CONDITIONS]>,
}

impl Default for Slab {
    fn default() -> Self {
        Slab { count: 0, refused: 0, entries: Box::new([Entry::default(); MOST_CONDITIONS]) }
    }
}

impl Slab {
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.refused = 0;
    }

    pub(crate) fn register(&mut self, condition: Condition) {
        match self.entries.get_mut(self.count as usize) {
            Some(entry) => {
                *entry = Entry { counter: condition.counter, expected: condition.expected, kind: COUNTER };
                self.count += 1;
            }
            None => self.refused += 1,
        }
    }

    /// Damages the count, as a kernel that writes past its data may.
    pub(crate) fn damage_count(&mut self) {
        self.count = MOST_CONDITIONS as u32 + 1;
    }

    /// Damages the kinds.
    pub(crate) fn damage_kinds(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.kind = u32::MAX);
    }

    /// Takes the conditions out, all of them or, with an error, none. `is_device` says whether four bytes lie in device memory.
    pub(crate) fn take(
        &mut self,
        is_device: impl Fn(u64) -> bool,
        each: &mut dyn FnMut(Condition),
    ) -> Result<(), DeferError> {
        let checked = self.check(is_device);
        if checked.is_ok() {
            for entry in &self.entries[..self.count as usize] {
                each(Condition { counter: entry.counter, expected: entry.expected });
            }
        }
        self.clear();
        checked
    }

    fn check(&self, is_device: impl Fn(u64) -> bool) -> Result<(), DeferError> {
        if self.refused > 0 {
            return Err(DeferError::TooMany(format!(
                "{} conditions were registered and one dispatch may register {MOST_CONDITIONS}",
                self.count + self.refused
            )));
        }
        if self.count as usize > MOST_CONDITIONS {
            return Err(DeferError::Malformed(format!(
                "the record says {} conditions and has room for {MOST_CONDITIONS}",
                self.count
            )));
        }
        for (index, entry) in self.entries[..self.count as usize].iter().enumerate() {
            if entry.kind != COUNTER {
                return Err(DeferError::Malformed(format!("condition {index} is of the unknown kind {}", entry.kind)));
            }
            if entry.counter == 0 {
                return Err(DeferError::Invalid(format!("the counter of condition {index} is null")));
            }
            if !entry.counter.is_multiple_of(4) {
                return Err(DeferError::Invalid(format!(
                    "the counter of condition {index} at {:#x} is not aligned to its 4 bytes",
                    entry.counter
                )));
            }
            if !is_device(entry.counter) {
                return Err(DeferError::Invalid(format!(
                    "the counter of condition {index} at {:#x} does not lie in device memory",
                    entry.counter
                )));
            }
        }
        Ok(())
    }
}
