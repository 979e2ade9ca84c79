//! Kernels: what a core runs, and what it may see of its task.

mod access;
mod context;
mod set;

pub use access::{Element, Input, Output};
pub use context::{Condition, KernelContext, KernelServices};
pub use set::{
    CKernel, Kernel, KernelCall, KernelError, KernelFunction, KernelSet, MAX_KERNELS, RegistrationError, RustKernel,
};
