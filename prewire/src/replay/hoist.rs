//! Allocations whose outputs are used after the end of their scope, and where to make them instead.

use super::ReplayError;
use crate::graph_format::{Event, RecordedGraph, TaskKind, TaskRecord};
use prewire_runtime_core::tensor::ArgumentTag;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Allocations by the event that they are made before.
#[derive(Debug, Default)]
pub(super) struct Hoisted<'a> {
    before: BTreeMap<usize, Vec<&'a TaskRecord>>,
    moved: HashSet<u32>,
}

impl<'a> Hoisted<'a> {
    /// The allocations to make before this event.
    pub(super) fn before(&self, place: usize) -> impl Iterator<Item = &'a TaskRecord> + '_ {
        self.before.get(&place).into_iter().flatten().copied()
    }

    /// Whether an allocation is made elsewhere than where it was recorded.
    pub(super) fn contains(&self, task: u32) -> bool {
        self.moved.contains(&task)
    }
}

/// A task that owns buffers.
struct Owner<'a> {
    task: &'a TaskRecord,
    /// The events that opened the scopes around it, outermost first.
    scopes: Vec<usize>,
    /// How many of these are open at every use so far.
    kept: usize,
}

/// Finds them. Every one goes right before the outermost scope around it that ends before its last use.
pub(super) fn allocations(graph: &RecordedGraph) -> Result<Hoisted<'_>, ReplayError> {
    let mut open: Vec<usize> = Vec::new();
    let mut owners: Vec<Owner<'_>> = Vec::new();
    let mut owner_of: HashMap<u32, usize> = HashMap::new();
    for (place, event) in graph.events.iter().enumerate() {
        match event {
            Event::ScopeBegin { .. } => open.push(place),
            Event::ScopeEnd => drop(open.pop()),
            Event::Task(task) => {
                let operand = task.predicate.as_ref().map(|predicate| predicate.buffer);
                let used = task.arguments.iter().filter(|argument| argument.tag != ArgumentTag::Output);
                for buffer in used.map(|argument| argument.buffer).chain(operand) {
                    let Some(owner) = owner_of.get(&buffer).map(|&owner| &mut owners[owner]) else { continue };
                    let common = owner.scopes.iter().zip(&open).take_while(|(one, other)| one == other).count();
                    if common < owner.scopes.len() && owner.task.kind != TaskKind::Allocation {
                        return Err(ReplayError::OutlivesScope { task: task.index, buffer, owner: owner.task.index });
                    }
                    owner.kept = owner.kept.min(common);
                }
                let outputs = task.arguments.iter().filter(|argument| argument.tag == ArgumentTag::Output);
                owner_of.extend(outputs.map(|output| (output.buffer, owners.len())));
                owners.push(Owner { task, scopes: open.clone(), kept: open.len() });
            }
        }
    }
    let mut hoisted = Hoisted::default();
    for owner in owners.iter().filter(|owner| owner.kept < owner.scopes.len()) {
        hoisted.before.entry(owner.scopes[owner.kept]).or_default().push(owner.task);
        hoisted.moved.insert(owner.task.index);
    }
    Ok(hoisted)
}
