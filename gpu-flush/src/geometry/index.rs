//! Between a flat index and its coordinates, last dimension fastest.

/// Writes the coordinates of `flat` in an array of `extents` to `coordinates`; the first takes what is left over, so
/// its extent may be anything, 0 included.
pub fn unravel(flat: u64, extents: &[u64], coordinates: &mut [u64]) {
    let mut rest = flat;
    for dimension in (1..extents.len()).rev() {
        coordinates[dimension] = rest % extents[dimension];
        rest /= extents[dimension];
    }
    if let Some(first) = coordinates.first_mut() {
        *first = rest;
    }
}

/// The flat index of `coordinates` in an array of `extents`; the first extent does not matter.
#[must_use]
pub fn ravel(coordinates: &[u64], extents: &[u64]) -> u64 {
    coordinates.iter().zip(extents).fold(0, |flat, (&coordinate, &extent)| flat * extent + coordinate)
}
