//! How registers are reached: one trait, and what can stand behind it.

mod memory;
mod recording;
mod window;

pub use memory::MemoryBus;
pub use recording::{Access, Direction, RecordingBus, Register, Side};
pub use window::{WindowBus, WindowError};

use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::port::{Condition, Token};

/// The registers of all cores, seen from both sides.
///
/// A store to a register makes everything its thread wrote before visible to whoever reads the stored value (release and acquire).
pub trait RegisterBus: Send + Sync + 'static {
    /// The scheduler writes a core's 64-bit dispatch register.
    fn write_dispatch(&self, core: CoreId, value: u64);

    /// The scheduler reads a core's condition register.
    fn read_condition(&self, core: CoreId) -> u32;

    /// The scheduler opens or closes a core's window, on chips that have a register for it.
    fn write_fast_path(&self, core: CoreId, value: u32);

    /// The core reads its dispatch register.
    fn read_dispatch(&self, core: CoreId) -> u64;

    /// The core writes its condition register.
    fn write_condition(&self, core: CoreId, value: u32);

    /// The scheduler writes a token and the core says that it has started it, where one thread plays both.
    #[inline]
    fn write_dispatch_and_start(&self, core: CoreId, token: Token) {
        self.write_dispatch(core, u64::from(token.to_register()));
        self.write_condition(core, Condition::Started(token).to_register());
    }
}
