//! The chips that a runtime can be built for. This list and that of the program are the only places that name them together.

use prewire_runtime_core::chip::ChipSpec;
use std::fmt;
use std::str::FromStr;

/// A simulated chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chip {
    /// 24 clusters: 24 cube and 48 vector cores.
    A2a3,
    /// 36 clusters on two dies: 36 cube and 72 vector cores.
    A5,
}

impl Chip {
    /// Every chip there is.
    pub const ALL: [Chip; 2] = [Chip::A2a3, Chip::A5];

    /// What the chip is.
    pub fn spec(self) -> ChipSpec {
        match self {
            Chip::A2a3 => prewire_platform_a2a3::chip(),
            Chip::A5 => prewire_platform_a5::chip(),
        }
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Chip::A2a3 => "a2a3",
            Chip::A5 => "a5",
        })
    }
}

impl FromStr for Chip {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Chip::ALL.into_iter().find(|chip| chip.to_string() == text).ok_or_else(|| {
            format!("unknown platform '{text}'; there are {}", Chip::ALL.map(|chip| chip.to_string()).join(" and "))
        })
    }
}
