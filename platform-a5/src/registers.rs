//! Where a core's registers are. The figures are those of the public runtime hw-native-sys/simpler.

use prewire_runtime_core::chip::RegisterMap;

/// The register map of one core: three pages with nothing between them. The second holds counters that this runtime does not use.
pub(crate) const MAP: RegisterMap = RegisterMap {
    dispatch: 0xD0,
    condition: 0x5108,
    fast_path: None,
    pages: &[(0x0000, 0x1000), (0x2400, 0x2000), (0x5000, 0x1000)],
};
