//! The payload operations on host memory. Each reaches the ranges its operation declared and nothing else.

mod aggregate;
mod compress;
mod levels;
mod parallel;
mod scatter;
mod words;

pub use aggregate::{Bias, Gather, Scan, TailCopy};
pub use compress::{Compress, CompressContexts};
pub use levels::{Fold, LevelScatter, LevelsScatter, Reduce};
pub use scatter::Scatter;

pub(crate) use words::{get_u64, put_u32, put_u64};

use super::DeviceError;
use super::operation::{Payload, Tag};
use super::views::Views;

/// Bytes of one line of the shard table: first entry, entries, first byte of its region, number among all shards.
pub(crate) const SHARD_LINE_BYTES: u64 = 32;

/// Runs one operation. `workers` is where large ones spread.
pub(super) fn run(
    tag: Tag,
    payload: &Payload,
    views: &Views<'_>,
    workers: Option<&rayon::ThreadPool>,
) -> Result<(), DeviceError> {
    let work = || match payload {
        Payload::Elided => Ok(()),
        Payload::Zero if !views.is_backed(0) => Ok(()),
        Payload::Zero => {
            views.write_all(0)?.fill(0);
            Ok(())
        }
        Payload::Copy => copy(views),
        Payload::Scatter(scatter) => scatter.run(views, workers),
        Payload::ZeroRest(scatter) => scatter.zero_rest(views),
        Payload::LevelScatter(scatter) => scatter.run(views, workers),
        Payload::LevelsScatter(scatter) => scatter.run(views, workers),
        Payload::Reduce(reduce) => reduce.run(views, workers),
        Payload::Fold(fold) => fold.run(views),
        Payload::Compress(compress) => compress.run(views, workers),
        Payload::Scan(scan) => scan.run(views),
        Payload::Bias(bias) => bias.run(views),
        Payload::TailCopy(copy) => copy.run(views),
        Payload::Gather(gather) => gather.run(views, workers),
    };
    // A panic in a codec or a reduction must not take the stream's thread down with it.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(DeviceError::failed(tag, text.unwrap_or_else(|| "it panicked".to_owned())))
    })
}

fn copy(views: &Views<'_>) -> Result<(), DeviceError> {
    if !views.is_backed(0) {
        return Ok(());
    }
    match views.source() {
        Some(source) => views.write(0, 0..source.len())?.copy_from_slice(source),
        None if !views.is_backed(1) => {}
        None => {
            let from = views.read_all(1)?;
            views.write(0, 0..from.len())?.copy_from_slice(from);
        }
    }
    Ok(())
}
