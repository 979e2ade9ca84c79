//! The sizes of the pyramid's levels.

use crate::config::{ArrayConfig, LEVELS_MAX};

/// The sizes of one level. Lists are in acquisition order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelPlan {
    /// True extents in elements; 0 for an unbounded first dimension.
    pub sizes: Vec<u64>,
    /// How often each dimension has been halved since level 0.
    pub halvings: Vec<u32>,
}

/// The levels of an array, full resolution first; a single level where nothing is downsampled.
///
/// From level to level each downsampled inner dimension that has more than one chunk becomes `ceil(size / 2)`; one that fits
/// a chunk stays. Levels go on while such a dimension is left. A downsampled append dimension is halved at every level.
#[must_use]
pub fn plan_levels(config: &ArrayConfig) -> Vec<LevelPlan> {
    let dimensions = config.dimensions();
    let append = config.append_dimensions();
    let limit = if config.levels_max() == 0 { LEVELS_MAX } else { config.levels_max() };
    let folded = config.append_downsample().then(|| append - 1);
    let mut levels = vec![LevelPlan {
        sizes: dimensions.iter().map(|dimension| dimension.size).collect(),
        halvings: vec![0; dimensions.len()],
    }];
    while (levels.len() as u32) < limit {
        let LevelPlan { mut sizes, mut halvings } = levels[levels.len() - 1].clone();
        let halved: Vec<usize> = (append..dimensions.len())
            .filter(|&index| dimensions[index].downsample && sizes[index] > dimensions[index].chunk)
            .collect();
        let reached = (append..dimensions.len())
            .any(|index| dimensions[index].downsample && sizes[index] <= dimensions[index].chunk);
        if halved.is_empty() || (config.preserve_aspect_ratio() && reached) {
            break;
        }
        for index in halved.into_iter().chain(folded) {
            sizes[index] = sizes[index].div_ceil(2);
            halvings[index] += 1;
        }
        levels.push(LevelPlan { sizes, halvings });
    }
    levels
}
