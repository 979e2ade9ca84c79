//! The members of a group: what each of the blocks that start together is given.

use super::{Argument, Scalar};

/// One member of a group. Its kernel sees these arguments, and its number as the block's index.
#[derive(Clone, Copy, Debug, Default)]
pub struct Member<'a> {
    pub(crate) arguments: &'a [Argument<'a>],
    pub(crate) scalars: &'a [Scalar],
}

impl<'a> Member<'a> {
    /// A member with these tensor arguments.
    pub const fn new(arguments: &'a [Argument<'a>]) -> Self {
        Member { arguments, scalars: &[] }
    }

    /// The scalar arguments.
    #[must_use]
    pub const fn scalars(mut self, scalars: &'a [Scalar]) -> Self {
        self.scalars = scalars;
        self
    }

    /// The tensor arguments.
    pub const fn tensors_named(&self) -> &'a [Argument<'a>] {
        self.arguments
    }

    /// The scalar arguments.
    pub const fn scalars_named(&self) -> &'a [Scalar] {
        self.scalars
    }
}
