//! The worked vectors of the layout, each computed by hand.

use crate::config::{ArrayConfig, Dimension};
use crate::dtype::DataType;
use crate::geometry::ArrayGeometry;

/// A u16 array of 4×4×6 with chunks of 2×2×3.
fn small() -> ArrayConfig {
    let dims = [("t", 4, 2), ("y", 4, 2), ("x", 6, 3)];
    ArrayConfig::builder(DataType::U16)
        .dimensions(dims.map(|(name, size, chunk)| Dimension::bounded(name, size).chunk(chunk)).into())
        .build()
        .unwrap()
}

fn destinations(geometry: &ArrayGeometry, count: u64) -> Vec<u64> {
    (0..count).map(|index| geometry.levels[0].scatter.destination(index)).collect()
}

/// Claims FLUSH-008.
#[test]
fn the_layout_reports_counts_strides_and_append_dimensions() {
    let geometry = ArrayGeometry::new(&small(), 1).unwrap();
    let level = &geometry.levels[0];
    assert_eq!(level.chunk_counts, [2, 2, 2]);
    assert_eq!(geometry.append_dimensions, 1);
    assert_eq!(level.chunk_elements, 12);
    assert_eq!(level.epoch_elements(), 48);
    assert_eq!(level.chunks_per_epoch, 4);
    assert_eq!(level.chunk_stride, 12);

    let append = |chunks: &[u64], downsampled: Option<usize>| {
        let dimensions = chunks.iter().enumerate().map(|(index, &chunk)| {
            let dimension = Dimension::bounded(format!("d{index}"), 8).chunk(chunk);
            if downsampled == Some(index) || (downsampled.is_some() && index == chunks.len() - 1) {
                dimension.downsample()
            } else {
                dimension
            }
        });
        let config = ArrayConfig::builder(DataType::U16).dimensions(dimensions.collect()).build().unwrap();
        ArrayGeometry::new(&config, 1).unwrap().append_dimensions
    };
    assert_eq!(append(&[1, 1, 1, 4], None), 3);
    assert_eq!(append(&[1, 1, 1, 4], Some(1)), 2);
    assert_eq!(append(&[2, 1, 1, 4], None), 1);
    assert_eq!(append(&[4, 4], None), 1);
}

/// Claims FLUSH-015 (the index map; the files are compared by the writer's tests).
#[test]
fn identity_storage_order_scatters_to_the_worked_places() {
    let geometry = ArrayGeometry::new(&small(), 1).unwrap();
    let scatter = &geometry.levels[0].scatter;
    assert_eq!(scatter.chunk_strides(), [0, 24, 12]);
    assert_eq!(scatter.within_strides(), [6, 3, 1]);
    assert_eq!(destinations(&geometry, 12), [0, 1, 2, 12, 13, 14, 3, 4, 5, 15, 16, 17]);
    assert_eq!(scatter.destination(47), 47);
    assert_eq!(geometry.epoch_input_elements, 48);
    assert!(scatter.fits_u32());
    for index in 0..48 {
        assert_eq!(u64::from(scatter.destination_u32(index)), scatter.destination(u64::from(index)));
    }
}

/// Claims FLUSH-016 (the index map).
#[test]
fn a_permuted_storage_order_scatters_to_the_worked_places() {
    let config = small().to_builder().storage_order(["t", "x", "y"]).build().unwrap();
    let geometry = ArrayGeometry::new(&config, 1).unwrap();
    let scatter = &geometry.levels[0].scatter;
    assert_eq!(scatter.chunk_strides(), [0, 12, 24]);
    assert_eq!(scatter.within_strides(), [6, 1, 2]);
    assert_eq!(destinations(&geometry, 12), [0, 2, 4, 24, 26, 28, 1, 3, 5, 25, 27, 29]);
    assert_eq!(scatter.destination(47), 47);
}
