//! Kernels: what a core runs, and what it may see of its task.

mod access;
mod context;
mod element;
mod opened;
mod set;
mod view;

pub use access::{Input, Output};
pub use context::{Condition, KernelContext, KernelServices};
pub use element::Element;
pub use set::{
    CKernel, Kernel, KernelCall, KernelError, KernelFunction, KernelSet, MAX_KERNELS, RegistrationError, RustKernel,
};
