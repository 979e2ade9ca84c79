//! Which arguments one task may have, which is the platform's to say.

/// Which arguments one task, or one member of a group, may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentLimits {
    /// Tensors.
    pub tensors: u16,
    /// Scalars.
    pub scalars: u16,
    /// Whether two of its tensors may write the same byte.
    pub overlapping_writes: bool,
}

/// Scalars that share one unit of the argument arena.
const SCALARS_PER_UNIT: u32 = 8;

impl ArgumentLimits {
    /// What a task of a chip may have.
    pub const CHIP: ArgumentLimits = ArgumentLimits { tensors: 32, scalars: 16, overlapping_writes: true };
    /// What a task of the host may have.
    pub const HOST: ArgumentLimits = ArgumentLimits { tensors: 256, scalars: 128, overlapping_writes: false };

    /// How many units of the argument arena so many arguments take.
    #[inline]
    pub const fn units(self) -> u32 {
        self.tensors as u32 + (self.scalars as u32).div_ceil(SCALARS_PER_UNIT)
    }
}
