//! Happens-before over a record: a graph, a topological order, and one vector clock per step.

use std::collections::{HashMap, VecDeque};

use super::record::{Actor, Record, Step};

/// The order of a record.
#[derive(Debug)]
pub(super) struct Order {
    /// Per step, how far along each actor everything before it reaches.
    clocks: Vec<Vec<u32>>,
    /// Per step, its actor's index and its place among the steps of that actor, from 1.
    place: Vec<(usize, u32)>,
    /// Steps on a cycle of waits, in its order; empty when there is none.
    pub(super) cycle: Vec<usize>,
    /// Counter waits that no publication satisfies.
    pub(super) unsatisfied: Vec<usize>,
}

impl Order {
    /// Orders `record`. Waits for the edges named in `without` order nothing.
    pub(super) fn of(record: &Record, without: &[&str]) -> Self {
        let count = record.nodes.len();
        let actor_index = |actor: Actor| match actor {
            Actor::Host => 0,
            Actor::Sink => 1,
            Actor::Stream(stream) => 2 + record.streams.iter().position(|(id, _)| *id == stream).unwrap_or(0),
        };
        let actors = 2 + record.streams.len();
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut last = vec![None; actors];
        let mut steps_of = vec![0u32; actors];
        let mut place = Vec::with_capacity(count);
        let mut publications: HashMap<u32, Vec<(u64, usize)>> = HashMap::new();
        for (index, node) in record.nodes.iter().enumerate() {
            let actor = actor_index(node.actor);
            before[index].extend(last[actor]);
            last[actor] = Some(index);
            steps_of[actor] += 1;
            place.push((actor, steps_of[actor]));
            before[index].extend(node.after);
            let (on, edge) = node.step.waits_on();
            if edge.is_none_or(|edge| !without.contains(&edge.name)) {
                before[index].extend(on);
            }
            // A release of everything at the end frees what waits; it is no publication anyone should have waited for.
            if let Step::Publish { counter, value, edge } = node.step
                && edge.name != "RELEASE_ALL"
            {
                publications.entry(counter.0).or_default().push((value, index));
            }
        }
        let mut unsatisfied = Vec::new();
        for (index, node) in record.nodes.iter().enumerate() {
            let Step::CounterWait { edge, counter, at_least } = node.step else { continue };
            if at_least == 0 || without.contains(&edge.name) {
                continue;
            }
            let publication =
                publications.get(&counter.0).and_then(|all| all.iter().find(|(value, _)| *value >= at_least));
            match publication {
                Some((_, publication)) => before[index].push(*publication),
                None => unsatisfied.push(index),
            }
        }
        let (clocks, cycle) = clocks(&before, &place, actors);
        Self { clocks, place, cycle, unsatisfied }
    }

    /// Whether `first` happens before `second`.
    pub(super) fn is_before(&self, first: usize, second: usize) -> bool {
        let (actor, step) = self.place[first];
        self.clocks[second].get(actor).is_some_and(|reached| *reached >= step)
    }
}

/// Clocks in topological order; steps that no order reaches get none, and one cycle among them is returned.
fn clocks(before: &[Vec<usize>], place: &[(usize, u32)], actors: usize) -> (Vec<Vec<u32>>, Vec<usize>) {
    let mut missing: Vec<usize> = before.iter().map(Vec::len).collect();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); before.len()];
    for (index, predecessors) in before.iter().enumerate() {
        for predecessor in predecessors {
            after[*predecessor].push(index);
        }
    }
    let mut clocks: Vec<Vec<u32>> = vec![Vec::new(); before.len()];
    let mut ready: VecDeque<usize> = (0..before.len()).filter(|index| missing[*index] == 0).collect();
    while let Some(index) = ready.pop_front() {
        let mut clock = vec![0; actors];
        for predecessor in &before[index] {
            for (reached, other) in clock.iter_mut().zip(&clocks[*predecessor]) {
                *reached = (*reached).max(*other);
            }
        }
        let (actor, step) = place[index];
        clock[actor] = step;
        clocks[index] = clock;
        for successor in &after[index] {
            missing[*successor] -= 1;
            if missing[*successor] == 0 {
                ready.push_back(*successor);
            }
        }
    }
    let cycle = find_cycle(before, &missing);
    (clocks, cycle)
}

/// Walks backwards from a step that never became ready, through steps that never did either, until one comes up twice.
fn find_cycle(before: &[Vec<usize>], missing: &[usize]) -> Vec<usize> {
    let Some(mut at) = missing.iter().position(|left| *left > 0) else { return Vec::new() };
    let mut path: Vec<usize> = Vec::new();
    loop {
        if let Some(start) = path.iter().position(|seen| *seen == at) {
            let mut cycle = path.split_off(start);
            cycle.reverse();
            return cycle;
        }
        path.push(at);
        match before[at].iter().find(|predecessor| missing[**predecessor] > 0) {
            Some(predecessor) => at = *predecessor,
            None => return Vec::new(),
        }
    }
}
