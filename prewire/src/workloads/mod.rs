//! Real computations on real numbers, tiled over cube and vector cores as a program for such a chip would be, each checked against a plain
//! reference in f64.

mod attention;
mod cholesky;
mod gemm;
mod matrix;
mod npy;
mod target;
mod tiles;

#[cfg(test)]
mod tests;

pub(crate) use matrix::Matrix;
pub(crate) use target::Target;

use prewire::{BufferError, KernelFailure, RegisterError, Runtime, SubmitError, Tensor, TensorError};
use std::collections::BTreeMap;
use std::path::Path;
use thiserror::Error;

/// Why a workload cannot be set up.
#[derive(Debug, Error)]
pub(crate) enum WorkloadError {
    #[error("{0}")]
    Input(String),
    #[error("--{option} {value}: it must be from {least} to {most}")]
    Size { option: &'static str, value: u64, least: u64, most: u64 },
    #[error("--{option} is no option of {workload}; its options are {known}")]
    UnknownOption { option: String, workload: &'static str, known: String },
    #[error(transparent)]
    Buffer(#[from] BufferError),
    #[error(transparent)]
    Register(#[from] RegisterError),
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// How far a result is from its reference.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    /// What the error measures.
    pub(crate) measure: &'static str,
    pub(crate) error: f64,
    /// The largest error that passes.
    pub(crate) tolerance: f64,
    /// Where the tolerance comes from.
    pub(crate) reason: String,
}

impl Check {
    /// Whether the result is right. An error that is no number is not.
    pub(crate) fn passes(&self) -> bool {
        self.error <= self.tolerance
    }
}

/// A computation with its data.
pub(crate) trait Workload {
    /// What is computed, with its sizes.
    fn description(&self) -> String;

    /// Registers kernels and copies the data in. Called once for each runtime.
    ///
    /// # Errors
    /// If kernels or memory cannot be had.
    fn set_up(&mut self, runtime: &mut Runtime) -> Result<(), WorkloadError>;

    /// How many tasks [`Workload::orchestrate`] submits.
    fn tasks(&self) -> u64;

    /// Submits the tasks; `submitted` is called behind each with their number.
    ///
    /// # Errors
    /// What a submit returns.
    fn orchestrate(&self, target: &mut dyn Target, submitted: &mut dyn FnMut(u64)) -> Result<(), SubmitError>;

    /// The external tensors with their names.
    fn external(&self) -> Vec<(&'static str, Tensor)>;

    /// What a failed kernel says about the input, if it does: the failure is then the input's and not the run's.
    fn explain(&self, _failure: &KernelFailure) -> Option<String> {
        None
    }

    /// The result, copied out.
    ///
    /// # Errors
    /// If it cannot be read.
    fn result(&self, runtime: &Runtime) -> Result<Matrix, WorkloadError>;

    /// Compares a result with the reference.
    fn check(&self, result: &Matrix) -> Check;
}

/// A size that the user may choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SizeOption {
    pub(crate) name: &'static str,
    pub(crate) default: u64,
    pub(crate) least: u64,
    pub(crate) most: u64,
    pub(crate) meaning: &'static str,
}

/// A kind of workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) sizes: &'static [SizeOption],
    /// What `--input` holds, if it takes one.
    pub(crate) input: Option<&'static str>,
    create: Create,
}

/// Makes a workload of these sizes from a seed, or from a matrix.
type Create = fn(&Sizes, u64, Option<Matrix>) -> Result<Box<dyn Workload>, WorkloadError>;

/// All workloads.
pub(crate) const KINDS: &[Kind] = &[attention::KIND, cholesky::KIND, gemm::KIND];

/// The sizes in force: the user's, else the defaults.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    values: BTreeMap<&'static str, u64>,
    given: Vec<&'static str>,
}

impl Sizes {
    fn of(&self, name: &'static str) -> usize {
        self.values[name] as usize
    }

    fn is_given(&self, name: &'static str) -> bool {
        self.given.contains(&name)
    }
}

impl Kind {
    /// The workload of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// Makes a workload of these sizes.
    ///
    /// # Errors
    /// If an option is unknown or out of range, or the input cannot be read or does not fit.
    pub(crate) fn create(
        &self,
        options: &[(String, u64)],
        seed: u64,
        input: Option<&Path>,
    ) -> Result<Box<dyn Workload>, WorkloadError> {
        let mut sizes = Sizes {
            values: self.sizes.iter().map(|option| (option.name, option.default)).collect(),
            given: Vec::new(),
        };
        for (name, value) in options {
            let Some(option) = self.sizes.iter().find(|option| option.name == name) else {
                let known: Vec<String> = self.sizes.iter().map(|option| format!("--{}", option.name)).collect();
                return Err(WorkloadError::UnknownOption {
                    option: name.clone(),
                    workload: self.name,
                    known: known.join(", "),
                });
            };
            if !(option.least..=option.most).contains(value) {
                return Err(WorkloadError::Size {
                    option: option.name,
                    value: *value,
                    least: option.least,
                    most: option.most,
                });
            }
            sizes.values.insert(option.name, *value);
            sizes.given.push(option.name);
        }
        let matrix = match (input, self.input) {
            (None, _) => None,
            (Some(path), Some(_)) => Some(npy::read(path).map_err(WorkloadError::Input)?),
            (Some(_), None) => {
                return Err(WorkloadError::Input(format!(
                    "--input: {} makes its data from --seed and takes no file",
                    self.name
                )));
            }
        };
        (self.create)(&sizes, seed, matrix)
    }
}

/// Writes a matrix for other programs to read.
///
/// # Errors
/// A sentence that names the file.
pub(crate) fn write_npy(path: &Path, matrix: &Matrix) -> Result<(), String> {
    npy::write(path, matrix)
}
