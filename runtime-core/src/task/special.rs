//! What few tasks say.

use super::{Member, Placement, Predicate};
use std::time::Duration;

/// What few tasks have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Special<'a> {
    pub(super) blocks: i64,
    pub(super) gang: bool,
    pub(super) communicates: bool,
    pub(super) members: Option<&'a [Member<'a>]>,
    pub(super) placement: Placement<'a>,
    pub(super) predicate: Option<Predicate<'a>>,
    pub(super) budget: Option<Duration>,
    pub(super) issue: u64,
    pub(super) mistake: Option<Mistake>,
    /// How many tensors and scalars had been given when the mistake was made.
    pub(super) given: [usize; 2],
}

impl Special<'_> {
    pub(super) const NOTHING: Self = Special {
        blocks: 1,
        gang: false,
        communicates: false,
        members: None,
        placement: Placement::Any,
        predicate: None,
        budget: None,
        issue: 0,
        mistake: None,
        given: [0; 2],
    };
}

/// The first mistake made while a task was built; the orchestrator turns it into a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mistake {
    Blocks(i64),
    ZeroBudget,
}
