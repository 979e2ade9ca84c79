//! Batches of epochs: how many, and which levels an epoch completes.

/// The most epochs of an automatically sized batch.
pub const EPOCHS_PER_BATCH_MAX: u32 = 65_536;

/// Epochs per batch: the user's value, or as many as reach `target_bytes`, from 1 to [`EPOCHS_PER_BATCH_MAX`].
/// `epoch_bytes` counts the padded chunks of all levels.
#[must_use]
pub fn epochs_per_batch(user: Option<u32>, target_bytes: u64, epoch_bytes: u64) -> u32 {
    match user {
        Some(epochs) => epochs.max(1),
        None => target_bytes.div_ceil(epoch_bytes.max(1)).clamp(1, u64::from(EPOCHS_PER_BATCH_MAX)) as u32,
    }
}

/// Whether a level with this `period` is complete when epoch number `epoch` (from 0) ends.
#[must_use]
pub fn emits_at(period: u64, epoch: u64) -> bool {
    (epoch + 1).is_multiple_of(period)
}

/// The most epochs of a level with this `period` that a batch of `epochs` can hold: `ceil(epochs / period)`.
#[must_use]
pub fn active_epochs_max(period: u64, epochs: u32) -> u32 {
    u64::from(epochs).div_ceil(period) as u32
}
