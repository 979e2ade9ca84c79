//! The arguments of a task: tensors that exist, tensors to be allocated, scalars.

use crate::tensor::{ArgumentTag, DataType, MAX_DIMENSIONS, Tensor};

/// A scalar argument: the value's bits in a 64-bit cell, zero-extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Scalar(pub u64);

macro_rules! scalar_from {
    ($($value:ty => $bits:expr;)*) => {
        $(impl From<$value> for Scalar {
            #[inline]
            fn from(value: $value) -> Scalar {
                let bits: fn($value) -> u64 = $bits;
                Scalar(bits(value))
            }
        })*
    };
}

scalar_from! {
    u8 => |v| v as u64;
    u16 => |v| v as u64;
    u32 => |v| v as u64;
    u64 => |v| v;
    i8 => |v| v as u8 as u64;
    i16 => |v| v as u16 as u64;
    i32 => |v| v as u32 as u64;
    i64 => |v| v as u64;
    f32 => |v| v.to_bits() as u64;
    f64 => |v| v.to_bits();
    bool => |v| v as u64;
}

/// A tensor that the runtime is to allocate for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTensor {
    pub(crate) shape: [u32; MAX_DIMENSIONS],
    pub(crate) dimensions: u8,
    pub(crate) data_type: DataType,
    pub(crate) initial: Option<Scalar>,
}

impl NewTensor {
    /// A row-major tensor of this shape. More than five dimensions are refused at submit.
    pub fn new(shape: &[u32], data_type: DataType) -> Self {
        let mut kept = [0; MAX_DIMENSIONS];
        for (kept, &extent) in kept.iter_mut().zip(shape) {
            *kept = extent;
        }
        NewTensor { shape: kept, dimensions: shape.len().min(u8::MAX as usize) as u8, data_type, initial: None }
    }

    /// Every element holds `value`, of the tensor's own element type, when the task's kernels start.
    #[must_use]
    pub fn filled(mut self, value: impl Into<Scalar>) -> Self {
        self.initial = Some(value.into());
        self
    }

    /// The extents as given; only the first five are kept.
    pub fn shape(&self) -> &[u32] {
        &self.shape[..self.dimensions().min(MAX_DIMENSIONS)]
    }

    /// How many extents were given.
    pub fn dimensions(&self) -> usize {
        self.dimensions as usize
    }

    /// The element type.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// The bits every element starts with, if any were asked for.
    pub fn initial(&self) -> Option<Scalar> {
        self.initial
    }
}

/// One tensor argument.
#[derive(Clone, Copy, Debug)]
pub enum Argument<'a> {
    /// The task reads it.
    Input(&'a Tensor),
    /// The task reads and writes it.
    InOut(&'a Tensor),
    /// The task writes all of it and reads nothing.
    OutputExisting(&'a Tensor),
    /// The task uses it and the user orders it: only its allocation is waited for and kept.
    NoDependency(&'a Tensor),
    /// The runtime allocates it for the task, which writes it.
    Output(NewTensor),
}

impl<'a> Argument<'a> {
    /// The number of the tag that says what the task does with it. A match from tag to tag would become a jump that nobody can foretell; one that counts
    /// variants is a subtraction.
    #[inline]
    pub(crate) fn tag_number(&self) -> u8 {
        static TAGS: [ArgumentTag; 5] = [
            ArgumentTag::Input,
            ArgumentTag::InOut,
            ArgumentTag::OutputExisting,
            ArgumentTag::NoDependency,
            ArgumentTag::Output,
        ];
        let variant = match self {
            Argument::Input(_) => 0,
            Argument::InOut(_) => 1,
            Argument::OutputExisting(_) => 2,
            Argument::NoDependency(_) => 3,
            Argument::Output(_) => 4,
        };
        TAGS[variant] as u8
    }

    /// The tensor, if it exists already.
    #[inline]
    pub fn existing(&self) -> Option<&'a Tensor> {
        match *self {
            Argument::Input(tensor)
            | Argument::InOut(tensor)
            | Argument::OutputExisting(tensor)
            | Argument::NoDependency(tensor) => Some(tensor),
            Argument::Output(_) => None,
        }
    }
}
