//! Where a core's registers are. The figures are those of the public runtime hw-native-sys/simpler.

use prewire_runtime_core::chip::{FastPath, RegisterMap};

/// The register map of one core: one window, opened before the first token and closed behind the last.
pub(crate) const MAP: RegisterMap = RegisterMap {
    dispatch: 0xA0,
    condition: 0x4C8,
    fast_path: Some(FastPath { offset: 0x18, open: 0xE, close: 0xF }),
    pages: &[(0x0000, 0x1400)],
};
