//! What a header counts of its file.

use super::model::{Event, Header, TaskKind};
use prewire_runtime_core::chip::CoreKind;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Counts over a whole graph.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Tasks.
    pub tasks: u64,
    /// Tasks by what they run on: AIC, AIV, MIX, DUMMY, ALLOC.
    pub kinds: BTreeMap<String, u64>,
    /// Found dependencies, one for each argument they were found for.
    pub edges: u64,
    /// Different pairs of producer and consumer.
    pub pairs: u64,
    /// The longest chain of dependencies, in tasks.
    pub critical_path_tasks: u64,
    /// The most producers that a task has.
    pub fan_in_max: u64,
    /// The most consumers that a task has.
    pub fan_out_max: u64,
    /// Kernel calls.
    pub subtasks: u64,
    /// How deep scopes nest.
    pub scope_depth_max: u64,
    /// Scopes.
    pub scopes: u64,
}

impl Statistics {
    pub(super) fn of(header: &Header, events: &[Event]) -> Statistics {
        let mut statistics = Statistics::default();
        let mut depth = 0u64;
        // By task: the length of the longest chain that ends with it.
        let mut chain: Vec<u64> = Vec::new();
        let mut consumers: HashMap<u32, u64> = HashMap::new();
        for event in events {
            match event {
                Event::ScopeBegin { .. } => {
                    depth += 1;
                    statistics.scopes += 1;
                    statistics.scope_depth_max = statistics.scope_depth_max.max(depth);
                }
                Event::ScopeEnd => depth = depth.saturating_sub(1),
                Event::Task(task) => {
                    statistics.tasks += 1;
                    let parts = task.kernels.iter().flatten().count() as u64;
                    statistics.subtasks += parts * u64::from(task.blocks);
                    let kind = match task.kind {
                        TaskKind::Dummy => "DUMMY",
                        TaskKind::Allocation => "ALLOC",
                        TaskKind::Kernel if parts > 1 => "MIX",
                        TaskKind::Kernel => {
                            let kernel = task.kernels.iter().flatten().next();
                            kernel
                                .and_then(|id| header.kernels.get(id))
                                .map_or(CoreKind::Vector, |kernel| kernel.kind)
                                .name()
                        }
                    };
                    *statistics.kinds.entry(kind.to_owned()).or_default() += 1;
                    statistics.edges += task.edges.len() as u64;
                    let producers: HashSet<u32> = task.edges.iter().map(|edge| edge.producer).collect();
                    statistics.pairs += producers.len() as u64;
                    statistics.fan_in_max = statistics.fan_in_max.max(producers.len() as u64);
                    let before =
                        producers.iter().map(|&task| chain.get(task as usize).copied().unwrap_or(0)).max().unwrap_or(0);
                    chain.push(before + 1);
                    for producer in producers {
                        *consumers.entry(producer).or_default() += 1;
                    }
                }
            }
        }
        statistics.critical_path_tasks = chain.into_iter().max().unwrap_or(0);
        statistics.fan_out_max = consumers.into_values().max().unwrap_or(0);
        statistics
    }
}
