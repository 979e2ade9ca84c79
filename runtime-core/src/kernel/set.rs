//! Registered kernels: a fixed table of 1024 places.

use super::KernelContext;
use crate::chip::CoreKind;
use crate::id::KernelId;
use crate::tensor::TensorArgument;
use std::ffi::{c_char, c_void};
use std::fmt;
use std::sync::Arc as StdArc;
use thiserror::Error;

/// Kernels that may be registered at once; ids run from 0 to 1023.
pub const MAX_KERNELS: usize = 1024;

/// A kernel's own report of failure.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("code {code}: {text}")]
pub struct KernelError {
    /// A number of the kernel's choosing; not 0.
    pub code: i32,
    /// What went wrong.
    pub text: String,
}

impl KernelError {
    /// The code of a wrong access to an argument.
    pub const ACCESS: i32 = -1001;
    /// The code of a wait that ended because the run or a sibling did.
    pub const CANCELLED: i32 = -1002;
    /// The code of a panic.
    pub const PANIC: i32 = -1003;
    /// The code of a block whose core was lost while it ran.
    pub const LOST: i32 = -1004;
    /// The code of a task whose run of the level below failed; the text is that run's.
    pub const BELOW: i32 = -1005;

    /// A failure with a code and a text.
    pub fn new(code: i32, text: impl Into<String>) -> Self {
        KernelError { code, text: text.into() }
    }
}

/// What a C kernel is given. Everything is valid for the duration of the call.
#[repr(C)]
#[derive(Debug)]
pub struct KernelCall {
    /// The tensor arguments.
    pub tensors: *const TensorArgument,
    /// How many there are.
    pub tensor_count: usize,
    /// The scalar arguments.
    pub scalars: *const u64,
    /// How many there are.
    pub scalar_count: usize,
    /// This block's index.
    pub block_index: u32,
    /// How many blocks the task has.
    pub block_count: u32,
    /// This core's part of the cluster: 0 cube, 1 and 2 vector.
    pub part: u32,
    /// What was given at registration.
    pub user: *mut c_void,
    /// Where a failing kernel may write a text: `text_bytes` bytes, NUL-terminated.
    pub text: *mut c_char,
    /// The room for the text.
    pub text_bytes: usize,
}

/// A C kernel: 0 is success, anything else the kernel's code.
pub type CKernel = unsafe extern "C" fn(*mut KernelCall) -> i32;

/// A Rust kernel.
pub type RustKernel = dyn Fn(&KernelContext<'_>) -> Result<(), KernelError> + Send + Sync;

/// What a kernel is made of.
#[derive(Clone)]
pub enum KernelFunction {
    /// A Rust closure.
    Rust(StdArc<RustKernel>),
    /// A C function with the pointer given at registration, which any thread may use.
    C {
        /// The function.
        function: CKernel,
        /// Handed to every call; an address, so that it may travel between threads.
        user: usize,
        /// What must stay loaded while the function may be called.
        keep: Option<StdArc<dyn Send + Sync>>,
    },
}

impl fmt::Debug for KernelFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KernelFunction::Rust(_) => f.write_str("Rust closure"),
            KernelFunction::C { .. } => f.write_str("C function"),
        }
    }
}

/// A registered kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// What reports call it.
    pub name: String,
    /// The kind of core it runs on; none if it runs on both.
    pub kind: Option<CoreKind>,
    /// What it does.
    pub function: KernelFunction,
}

/// Why a kernel was not registered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum RegistrationError {
    #[error("kernel id {id}: ids run from 0 to {}", MAX_KERNELS - 1)]
    IdTooLarge { id: u32 },
    #[error("kernel id {id} is taken by {name}; unregister it first")]
    Taken { id: u32, name: String },
    #[error("all {MAX_KERNELS} kernel places are taken; unregister some")]
    Full,
}

/// The kernels of a runtime. Shared by reference count and replaced as a whole, so that a run keeps the set it began with.
#[derive(Clone, Debug, Default)]
pub struct KernelSet {
    kernels: Vec<Option<StdArc<Kernel>>>,
    /// Ids of kernels that never wait for a sibling.
    alone: Vec<KernelId>,
    /// Under which issue each kernel was registered; 0, or nothing, for none.
    issues: Vec<u64>,
    /// Who registers kernels here.
    issuer: u32,
}

impl KernelSet {
    /// The kernel with this id.
    #[inline]
    pub fn get(&self, id: KernelId) -> Option<&Kernel> {
        self.kernels.get(id.index()).and_then(|kernel| kernel.as_deref())
    }

    /// Puts a kernel at the first free id.
    pub fn register(&mut self, kernel: Kernel) -> Result<KernelId, RegistrationError> {
        let free = self.kernels.iter().position(Option::is_none).unwrap_or(self.kernels.len());
        if free >= MAX_KERNELS {
            return Err(RegistrationError::Full);
        }
        self.register_at(free as u32, kernel)
    }

    /// Puts a kernel at an id of the caller's choosing.
    pub fn register_at(&mut self, id: u32, kernel: Kernel) -> Result<KernelId, RegistrationError> {
        if id as usize >= MAX_KERNELS {
            return Err(RegistrationError::IdTooLarge { id });
        }
        if let Some(taken) = self.get(KernelId(id as u16)) {
            return Err(RegistrationError::Taken { id, name: taken.name.clone() });
        }
        if self.kernels.len() <= id as usize {
            self.kernels.resize(id as usize + 1, None);
        }
        self.kernels[id as usize] = Some(StdArc::new(kernel));
        Ok(KernelId(id as u16))
    }

    /// Says that the kernel never waits for another block or part of its task: no barrier, no pipe. Its blocks then need not run at the same time.
    pub fn declare_never_waits(&mut self, id: KernelId) {
        if self.get(id).is_some() && !self.alone.contains(&id) {
            self.alone.push(id);
        }
    }

    /// Whether the kernel was declared to wait for no sibling.
    pub fn never_waits(&self, id: KernelId) -> bool {
        self.alone.contains(&id)
    }

    /// Says who registers kernels here, so that another's issues can be told from its own.
    pub fn set_issuer(&mut self, issuer: u32) {
        self.issuer = issuer;
    }

    /// Notes under which issue a kernel was registered: the issuer above, a number below that it never uses again. A task that names it means this kernel and
    /// not a later one with the same id.
    pub fn issue(&mut self, id: KernelId, issue: u64) {
        if self.issues.len() <= id.index() {
            self.issues.resize(id.index() + 1, 0);
        }
        self.issues[id.index()] = issue;
    }

    /// Under which issue a kernel was registered; 0 for none.
    pub fn issue_of(&self, id: KernelId) -> u64 {
        self.issues.get(id.index()).copied().unwrap_or(0)
    }

    /// Whether the kernel with this id is the one that was registered under the issue.
    pub fn is_issued(&self, id: KernelId, issue: u64) -> bool {
        self.get(id).is_some() && self.issues.get(id.index()) == Some(&issue)
    }

    /// Whether the issue comes from whoever registers kernels here.
    pub fn is_own_issue(&self, issue: u64) -> bool {
        (issue >> 32) as u32 == self.issuer
    }

    /// Takes a kernel out; its id is free again. False if there was none.
    pub fn unregister(&mut self, id: KernelId) -> bool {
        let taken = self.kernels.get_mut(id.index()).and_then(Option::take).is_some();
        self.alone.retain(|&alone| alone != id);
        if let Some(issue) = self.issues.get_mut(id.index()) {
            *issue = 0;
        }
        while self.kernels.last().is_some_and(Option::is_none) {
            self.kernels.pop();
        }
        taken
    }

    /// The registered kernels with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (KernelId, &Kernel)> {
        self.kernels.iter().enumerate().filter_map(|(id, kernel)| Some((KernelId(id as u16), kernel.as_deref()?)))
    }
}
