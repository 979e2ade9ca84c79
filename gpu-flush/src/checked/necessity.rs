//! Which waits a schedule needs: each edge is taken out of the record in turn.

use super::findings::report;
use super::record::{Record, Step};
use crate::edges::{Edge, EdgeKind};

/// What a wait is for in one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitClass {
    /// Without it two accesses are unordered: the first such pair and its buffer.
    Necessary(String),
    /// Everything it orders is ordered without it. Names the edges of which taking one out as well leaves a pair unordered.
    Subsumed(Vec<&'static str>),
    /// It is never waited for.
    Idle,
}

/// The class of one edge's waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Necessity {
    /// The edge.
    pub edge: &'static str,
    /// The class.
    pub class: WaitClass,
}

pub(super) fn classify(record: &Record) -> Vec<Necessity> {
    let waited: Vec<&'static str> = Edge::table()
        .iter()
        .filter(|descriptor| descriptor.kind != EdgeKind::HostRule)
        .map(|descriptor| descriptor.name)
        .filter(|name| record.nodes.iter().any(|node| waits_for(&node.step, name)))
        .collect();
    let first_conflict = |without: &[&str]| {
        report(record, without)
            .conflicts()
            .next()
            .map(|conflict| format!("{} against {} on {}", conflict.first, conflict.second, conflict.buffer))
    };
    let checked = Edge::table().iter().filter(|descriptor| descriptor.kind != EdgeKind::HostRule);
    checked
        .map(|descriptor| {
            let edge = descriptor.name;
            let class = if !waited.contains(&edge) {
                WaitClass::Idle
            } else if let Some(conflict) = first_conflict(&[edge]) {
                WaitClass::Necessary(conflict)
            } else {
                // An edge that is necessary by itself would make any pair red; only its silent partners are told.
                let partners = waited.iter().copied().filter(|other| *other != edge && waited.contains(other));
                let subsumers = partners.filter(|other| {
                    let alone = report(record, &[other]).conflicts().count();
                    report(record, &[edge, other]).conflicts().count() > alone
                });
                WaitClass::Subsumed(subsumers.collect())
            };
            Necessity { edge, class }
        })
        .collect()
}

fn waits_for(step: &Step, name: &str) -> bool {
    match step {
        Step::Wait { edge, .. } | Step::HostWait { edge, .. } | Step::FenceWait { edge, .. } => edge.name == name,
        Step::CounterWait { edge, .. } => edge.name == name,
        _ => false,
    }
}
