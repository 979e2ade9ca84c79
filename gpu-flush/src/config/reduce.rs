//! How several elements become one in the pyramid.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// The value that stands for a window of elements at the next level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ReduceMethod {
    /// The mean, in a widened type; integers truncate toward zero.
    #[default]
    Mean,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Element n/2 of the sorted window of n.
    Median,
    /// The second largest by rank; a lone element stands for itself.
    MaxSuppressed,
    /// The second smallest by rank; a lone element stands for itself.
    MinSuppressed,
}

impl ReduceMethod {
    /// Every method, in the order of their definition.
    pub const ALL: [ReduceMethod; 6] = [
        ReduceMethod::Mean,
        ReduceMethod::Min,
        ReduceMethod::Max,
        ReduceMethod::Median,
        ReduceMethod::MaxSuppressed,
        ReduceMethod::MinSuppressed,
    ];

    /// The name, as the command line and the OME block spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ReduceMethod::Mean => "mean",
            ReduceMethod::Min => "min",
            ReduceMethod::Max => "max",
            ReduceMethod::Median => "median",
            ReduceMethod::MaxSuppressed => "max-suppressed",
            ReduceMethod::MinSuppressed => "min-suppressed",
        }
    }

    /// Whether the method can fold frames one by one as they arrive: mean, min and max can, the rank methods need all of them.
    #[must_use]
    pub const fn folds(self) -> bool {
        matches!(self, ReduceMethod::Mean | ReduceMethod::Min | ReduceMethod::Max)
    }
}

impl fmt::Display for ReduceMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ReduceMethod {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        ReduceMethod::ALL.into_iter().find(|method| method.name() == text).ok_or_else(|| {
            let names: Vec<_> = ReduceMethod::ALL.iter().map(|method| method.name()).collect();
            Error::invalid_config("reduce", format!("{text:?} is no reduce method; use one of {}", names.join(", ")))
        })
    }
}
