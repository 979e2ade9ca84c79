//! The tasks of a run with what precedes each: when it was ready, and how long the chain up to it is.

use crate::{BlockRecord, TaskId};
use std::collections::HashMap;

/// A task, with blocks or without.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Its longest block.
    longest_ns: u64,
    /// When its last block ended, if it has any.
    end_ns: Option<u64>,
    consumers: Vec<usize>,
    producers: usize,
    /// The latest end among its producers, through those without blocks.
    ready_ns: Option<u64>,
    /// The longest chain that ends before it.
    before_ns: u64,
}

/// All tasks.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    numbers: HashMap<TaskId, usize>,
    nodes: Vec<Node>,
}

impl Tasks {
    pub(super) fn of(blocks: &[BlockRecord], edges: &[(TaskId, TaskId)]) -> Tasks {
        let mut tasks = Tasks::default();
        for block in blocks {
            let node = tasks.node(block.task);
            let node = &mut tasks.nodes[node];
            node.longest_ns = node.longest_ns.max(block.end_ns - block.start_ns);
            node.end_ns = node.end_ns.max(Some(block.end_ns));
        }
        for &(producer, consumer) in edges {
            let (producer, consumer) = (tasks.node(producer), tasks.node(consumer));
            tasks.nodes[producer].consumers.push(consumer);
            tasks.nodes[consumer].producers += 1;
        }
        tasks.walk();
        tasks
    }

    fn node(&mut self, task: TaskId) -> usize {
        *self.numbers.entry(task).or_insert_with(|| {
            self.nodes.push(Node::default());
            self.nodes.len() - 1
        })
    }

    /// Visits every task behind all of its producers.
    fn walk(&mut self) {
        let mut open: Vec<usize> = self.nodes.iter().map(|node| node.producers).collect();
        let mut ready: Vec<usize> = (0..self.nodes.len()).filter(|&task| open[task] == 0).collect();
        while let Some(task) = ready.pop() {
            let node = &mut self.nodes[task];
            let (end_ns, chain_ns) = (node.end_ns.or(node.ready_ns), node.before_ns + node.longest_ns);
            for consumer in std::mem::take(&mut node.consumers) {
                let node = &mut self.nodes[consumer];
                node.ready_ns = node.ready_ns.max(end_ns);
                node.before_ns = node.before_ns.max(chain_ns);
                open[consumer] -= 1;
                if open[consumer] == 0 {
                    ready.push(consumer);
                }
            }
        }
    }

    pub(super) fn critical_path_ns(&self) -> u64 {
        self.nodes.iter().map(|node| node.before_ns + node.longest_ns).max().unwrap_or(0)
    }

    /// When the last producer of a task ended; none if it has none that ran.
    pub(super) fn ready_ns(&self, task: TaskId) -> Option<u64> {
        self.nodes[self.numbers[&task]].ready_ns
    }
}
