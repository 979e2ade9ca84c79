//! The OME block against the sizes of the levels it describes.

use serde_json::json;

use super::{deviation, multiscale};
use crate::config::{ArrayConfig, Dimension, ReduceMethod};
use crate::dtype::DataType;
use crate::geometry::ArrayGeometry;

/// Claims FLUSH-053.
#[test]
fn the_ome_block_tells_scales_and_method() {
    for method in ReduceMethod::ALL {
        let config = ArrayConfig::builder(DataType::U16)
            .dimension(Dimension::unbounded("t").scale(0.5, "second"))
            .dimension(Dimension::bounded("y", 2048).chunk(256).scale(0.25, "micrometer").downsample())
            .dimension(Dimension::bounded("x", 2304).chunk(256).scale(0.125, "micrometer").downsample())
            .reduce(method)
            .build()
            .unwrap();
        let ome = multiscale(&config, &ArrayGeometry::new(&config, 1).unwrap());
        assert_eq!(ome["version"], "0.5");
        let scales = &ome["multiscales"][0];
        assert_eq!(
            scales["axes"],
            json!([
                {"name": "t", "type": "time", "unit": "second"},
                {"name": "y", "type": "space", "unit": "micrometer"},
                {"name": "x", "type": "space", "unit": "micrometer"},
            ])
        );
        let datasets = scales["datasets"].as_array().unwrap();
        let halvings = [(0, 0), (1, 1), (2, 2), (3, 3), (3, 4)];
        assert_eq!(datasets.len(), halvings.len());
        for (level, (y, x)) in halvings.into_iter().enumerate() {
            assert_eq!(datasets[level]["path"], level.to_string());
            let scale = [0.5, 0.25 * f64::from(1 << y), 0.125 * f64::from(1 << x)];
            assert_eq!(datasets[level]["coordinateTransformations"], json!([{"type": "scale", "scale": scale}]));
        }
        assert_eq!(scales["type"], method.name());
        assert_eq!(scales["metadata"]["method"], method.name());
        assert!(scales["metadata"]["description"].as_str().unwrap().contains(method.name()));
        assert!(!ome.to_string().contains("decimat") && !ome.to_string().contains("stride"), "{ome}");
        assert_eq!(deviation(&config), None);
    }
    // With unit steps the scales of level 4 are the plain powers of two.
    let config = ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t"))
        .dimension(Dimension::bounded("y", 2048).chunk(256).downsample())
        .dimension(Dimension::bounded("x", 2304).chunk(256).downsample())
        .build()
        .unwrap();
    let ome = multiscale(&config, &ArrayGeometry::new(&config, 1).unwrap());
    let last = &ome["multiscales"][0]["datasets"][4]["coordinateTransformations"][0]["scale"];
    assert_eq!(*last, json!([1.0, 8.0, 16.0]));
}

#[test]
fn axes_that_the_format_does_not_know_are_named() {
    let build = |names: &[&str]| {
        let dimensions = names.iter().map(|name| Dimension::bounded(*name, 8).chunk(2)).collect();
        ArrayConfig::builder(DataType::U8).dimensions(dimensions).build().unwrap()
    };
    assert_eq!(deviation(&build(&["t", "c", "z", "y", "x"])), None);
    assert!(deviation(&build(&["t", "c"])).unwrap().contains("0 axes of space"));
    assert!(deviation(&build(&["t", "y", "x", "c"])).unwrap().contains("order"));
    assert!(deviation(&build(&["t", "time", "y", "x"])).unwrap().contains("2 axes of time"));
}
