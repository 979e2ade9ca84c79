//! What the command prints at its end.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ProgramError;
use super::plan::Plan;
use super::verify::Verified;
use crate::config::ArrayConfig;
use crate::geometry::ArrayGeometry;

/// A finished store in figures.
#[derive(Debug, Clone)]
pub struct Report {
    root: PathBuf,
    config: ArrayConfig,
    shape: Vec<u64>,
    shard_shape: Vec<u64>,
    levels: usize,
    input_bytes: u64,
    stored_bytes: u64,
    elapsed: Duration,
    verified: Option<Verified>,
}

impl Report {
    pub(super) fn new(
        plan: &Plan,
        geometry: &ArrayGeometry,
        cursor: u64,
        elapsed: Duration,
        root: &Path,
        verified: Option<Verified>,
    ) -> Result<Self, ProgramError> {
        let level = &geometry.levels[0];
        let mut shape = level.shape.clone();
        shape[0] = geometry.final_extent(0, cursor);
        Ok(Report {
            root: root.to_owned(),
            config: plan.config.clone(),
            shape,
            shard_shape: level.shard_shape(),
            levels: geometry.levels.len(),
            input_bytes: cursor * geometry.dtype.size_bytes() as u64,
            stored_bytes: stored_bytes(root).map_err(|error| ProgramError::io(root, error))?,
            elapsed,
            verified,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[u64]| values.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let chunk: Vec<u64> = self.config.dimensions().iter().map(|dimension| dimension.chunk).collect();
        writeln!(f, "{}: {} of {}", self.root.display(), list(&self.shape), self.config.dtype())?;
        writeln!(f, "  chunks {}, shards {}, codec {}", list(&chunk), list(&self.shard_shape), self.config.codec())?;
        if self.levels > 1 {
            writeln!(f, "  {} levels by {}", self.levels, self.config.reduce())?;
        }
        let seconds = self.elapsed.as_secs_f64();
        let rate = self.input_bytes as f64 / seconds.max(1e-9);
        let ratio = self.input_bytes as f64 / self.stored_bytes.max(1) as f64;
        write!(f, "  {} in {seconds:.2} s, {}/s; ", Bytes(self.input_bytes as f64), Bytes(rate))?;
        writeln!(f, "{} stored, ratio {ratio:.2}", Bytes(self.stored_bytes as f64))?;
        if let Some(verified) = self.verified {
            writeln!(f, "  verified: {} chunks, {} compared", verified.chunks, Bytes(verified.compared_bytes as f64))?;
        }
        Ok(())
    }
}

/// Bytes in binary units.
struct Bytes(f64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"];
        let (mut value, mut unit) = (self.0, 0);
        while value >= 1024.0 && unit + 1 < units.len() {
            value /= 1024.0;
            unit += 1;
        }
        if unit == 0 { write!(f, "{value:.0} B") } else { write!(f, "{value:.2} {}", units[unit]) }
    }
}

/// Bytes of all files below a folder.
fn stored_bytes(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => stored_bytes(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(bytes)
}
