//! OME-NGFF 0.5 multiscale metadata: axes, datasets and their scales, and the method that made them.

#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{ArrayConfig, AxisKind};
use crate::geometry::ArrayGeometry;

/// The `ome` attribute of a group that holds the levels of one array.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Ome {
    version: &'static str,
    multiscales: [Multiscale; 1],
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Multiscale {
    name: String,
    axes: Vec<Axis>,
    datasets: Vec<Dataset>,
    #[serde(rename = "type")]
    method: &'static str,
    metadata: Value,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Axis {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dataset {
    path: String,
    coordinate_transformations: [Scale; 1],
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Scale {
    #[serde(rename = "type")]
    kind: &'static str,
    scale: Vec<f64>,
}

/// The value of the `ome` attribute. The scale of a dimension is its physical step times 2 for each halving up to that level.
#[must_use]
pub fn multiscale(config: &ArrayConfig, geometry: &ArrayGeometry) -> Value {
    let order = config.storage_order();
    let dimensions = || order.iter().map(|&index| &config.dimensions()[index]);
    let axes = dimensions().map(|dimension| Axis {
        name: dimension.name.clone(),
        kind: dimension.kind.ngff_name(),
        unit: dimension.unit.clone(),
    });
    let datasets = geometry.levels.iter().map(|level| Dataset {
        path: level.level.to_string(),
        coordinate_transformations: [Scale {
            kind: "scale",
            scale: dimensions()
                .zip(&level.halvings)
                .map(|(dimension, &halvings)| dimension.scale * 2f64.powi(halvings as i32))
                .collect(),
        }],
    });
    let mut metadata = json!({
        "description": format!("each level is the {} of windows of two elements per halved axis of the level above", config.reduce()),
        "method": config.reduce().name(),
    });
    if config.append_downsample() {
        metadata["append_method"] = json!(config.append_reduce().name());
    }
    if let Some(reason) = deviation(config) {
        tracing::warn!(array = config.name(), "the pyramid is not valid OME-NGFF 0.5: {reason}");
    }
    let multiscale = Multiscale {
        name: if config.name().is_empty() { "/".into() } else { config.name().to_owned() },
        axes: axes.collect(),
        datasets: datasets.collect(),
        method: config.reduce().name(),
        metadata,
    };
    serde_json::to_value(Ome { version: "0.5", multiscales: [multiscale] })
        .expect("string keys and finite numbers only")
}

/// Why the axes break a rule of OME-NGFF 0.5, if they do: 2 to 5 axes, at most one of time, then at most one channel, then 2 or 3 of space.
#[must_use]
pub fn deviation(config: &ArrayConfig) -> Option<String> {
    let kinds: Vec<AxisKind> =
        config.storage_order().into_iter().map(|index| config.dimensions()[index].kind).collect();
    let count = |kind| kinds.iter().filter(|have| **have == kind).count();
    let (time, channel, space) = (count(AxisKind::Time), count(AxisKind::Channel), count(AxisKind::Space));
    if !(2..=3).contains(&space) {
        return Some(format!("{space} axes of space, 2 or 3 are allowed"));
    }
    if time > 1 || channel > 1 {
        return Some(format!("{time} axes of time and {channel} channel axes, one of each is allowed"));
    }
    let rank = |kind: &AxisKind| match kind {
        AxisKind::Time => 0,
        AxisKind::Channel => 1,
        AxisKind::Space => 2,
    };
    (!kinds.is_sorted_by_key(rank)).then(|| "axes must be stored in the order time, channel, space".into())
}
