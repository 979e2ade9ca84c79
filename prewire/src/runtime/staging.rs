//! Host memory that takes part in a run: copied to device memory before it and back behind it, if it succeeded.

use super::buffer::{Buffer, BufferError};
use super::lifecycle::{Failed, Runtime};
use super::report::Report;
use super::run::Run;
use prewire_runtime_core::error::{RunError, SubmitError};
use prewire_runtime_core::kernel::Element;
use prewire_runtime_core::tensor::Tensor;
use thiserror::Error;

/// Why a run with staged host memory gave no results.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StagedError {
    /// The memory could not be staged; nothing was run.
    #[error("host memory could not be staged: {0}")]
    Buffer(#[from] BufferError),
    /// The run failed; host memory keeps the bytes it had.
    #[error("{0}; results were not copied back to the host")]
    Run(#[from] Failed),
}

impl StagedError {
    /// The run's error, if it was the run that failed.
    pub fn run_error(&self) -> Option<&RunError> {
        match self {
            StagedError::Run(failed) => Some(&failed.error),
            StagedError::Buffer(_) => None,
        }
    }
}

impl Runtime {
    /// Runs a graph over host memory: each slice is copied to device memory, given to the orchestration as a tensor of one dimension, and copied back
    /// when the run has succeeded.
    ///
    /// # Errors
    /// If device memory cannot be had, or the run fails; then every slice keeps the bytes it had.
    pub fn run_staged<T: Element>(
        &mut self,
        host: &mut [&mut [T]],
        orchestration: impl FnOnce(&mut Run<'_>, &[Tensor]) -> Result<(), SubmitError>,
    ) -> Result<Report, StagedError> {
        let buffers: Vec<Buffer> = host.iter().map(|slice| self.buffer_from(slice)).collect::<Result<_, _>>()?;
        let tensors: Result<Vec<Tensor>, _> = buffers
            .iter()
            .zip(host.iter())
            .map(|(buffer, slice)| buffer.tensor(&[u32::try_from(slice.len()).unwrap_or(u32::MAX)], T::DATA_TYPE))
            .collect();
        let report = self.run(|run| orchestration(run, &tensors?))?;
        for (buffer, slice) in buffers.iter().zip(host) {
            slice.copy_from_slice(&self.read::<T>(buffer)?);
        }
        Ok(report)
    }
}
