//! What stands where schedulers and cores stand in a whole runtime: it takes ready tasks out of the queues, runs a test's closures in place of kernels,
//! and ends tasks when the test says so.

use super::KERNEL;
use prewire_runtime_core::consumers::Ending;
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::error::KernelFailure;
use prewire_runtime_core::graph::{Graph, Queue};
use prewire_runtime_core::id::{EdgeIndex, SlotIndex, TaskId};
use prewire_runtime_core::slot::{NO_CAUSE, TaskFlags};
use prewire_runtime_core::tensor::TensorArgument;
use prewire_runtime_core::waiting::Blocking;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What a test task sees when it runs.
pub(crate) struct Seen<'a> {
    pub(crate) tensors: &'a [TensorArgument],
    pub(crate) scalars: &'a [u64],
}

impl Seen<'_> {
    /// An element of a 32-bit tensor argument, by its place in row-major order.
    pub(crate) fn get(&self, argument: usize, place: u64) -> u32 {
        // SAFETY: the test's own tensors, used by one thread.
        unsafe { *self.address(argument, place) }
    }

    pub(crate) fn set(&self, argument: usize, place: u64, value: u32) {
        // SAFETY: as above.
        unsafe { *self.address(argument, place) = value };
    }

    /// Every element of the argument, in row-major order.
    pub(crate) fn all(&self, argument: usize) -> Vec<u32> {
        (0..self.count(argument)).map(|place| self.get(argument, place)).collect()
    }

    pub(crate) fn fill(&self, argument: usize, value: u32) {
        for place in 0..self.count(argument) {
            self.set(argument, place, value);
        }
    }

    fn count(&self, argument: usize) -> u64 {
        self.tensors[argument].shape().iter().map(|&extent| u64::from(extent)).product()
    }

    fn address(&self, argument: usize, mut place: u64) -> *mut u32 {
        let tensor = &self.tensors[argument];
        assert_eq!(tensor.data_type().bytes(), 4);
        let mut element = 0;
        for (&extent, &stride) in tensor.shape().iter().zip(tensor.strides()).rev() {
            element += place % u64::from(extent) * u64::from(stride);
            place /= u64::from(extent);
        }
        (tensor.first_byte() + element * 4) as *mut u32
    }
}

type Body = Box<dyn FnMut(&Seen<'_>)>;

/// Stands where schedulers and cores stand.
pub(crate) struct Retirer {
    pub(crate) graph: Arc<Graph>,
    /// Ready tasks that were taken out of the queues and have not ended, in the order in which they became ready.
    pub(crate) ready: Vec<(SlotIndex, TaskId)>,
    /// Tasks that the retirer must not end by itself.
    pub(crate) gated: HashSet<TaskId>,
    /// What tasks do when they run.
    pub(super) bodies: HashMap<TaskId, Body>,
    /// Tasks that fail when they run.
    pub(super) failing: HashMap<TaskId, (i32, String)>,
    /// Every task that ended, in that order, and whether it had run.
    pub(crate) ended: Vec<(TaskId, bool)>,
    /// Whether `ended` is kept.
    pub(crate) remember: bool,
    pub(crate) routed: BTreeMap<TaskId, u32>,
    /// How often the orchestrator has waited a round.
    pub(crate) rounds: u64,
    pub(crate) now_ns: u64,
    /// How far the clock goes on with each round that ends nothing.
    pub(crate) tick_ns: u64,
    /// Whether gated tasks count as running.
    pub(crate) gated_run: bool,
    /// What happens in each round before anything else.
    pub(crate) each_round: Option<Box<dyn FnMut(u64) -> Vec<TaskId>>>,
    /// Whether waiting ends tasks at all.
    pub(crate) works: bool,
}

impl Retirer {
    pub(crate) fn new(graph: Arc<Graph>) -> Self {
        Retirer {
            graph,
            ready: Vec::new(),
            gated: HashSet::new(),
            bodies: HashMap::new(),
            failing: HashMap::new(),
            ended: Vec::new(),
            remember: true,
            routed: BTreeMap::new(),
            rounds: 0,
            now_ns: 0,
            tick_ns: 1_000_000,
            gated_run: true,
            each_round: None,
            works: true,
        }
    }

    /// Takes what is ready out of the queues.
    pub(crate) fn pull(&mut self) {
        for queue in Queue::ALL {
            while let Some(slot) = self.graph.queue(queue).pop() {
                // SAFETY: the slot came out of a queue.
                let id = unsafe { self.graph.slots.get(slot).body() }.id;
                if self.remember {
                    *self.routed.entry(id).or_default() += 1;
                }
                self.ready.push((slot, id));
            }
        }
        self.tell_busy();
    }

    pub(super) fn tell_busy(&self) {
        use prewire_runtime_core::sync::Ordering;
        let busy = self.ready.iter().filter(|(_, id)| self.gated_run || !self.gated.contains(id)).count();
        self.graph.progress[0].busy.store(busy as u64, Ordering::Release);
    }

    pub(crate) fn is_ready(&mut self, id: TaskId) -> bool {
        self.pull();
        self.ready.iter().any(|&(_, ready)| ready == id)
    }

    pub(crate) fn has_ended(&self, id: TaskId) -> bool {
        self.ended.iter().any(|&(ended, _)| ended == id)
    }

    /// Runs and ends one ready task.
    pub(crate) fn complete(&mut self, id: TaskId) {
        self.pull();
        let place = self.ready.iter().position(|&(_, ready)| ready == id);
        let place = place.unwrap_or_else(|| panic!("task {id} is not ready"));
        self.end(place);
    }

    /// Runs and ends everything that is not gated until nothing more is ready.
    pub(crate) fn run(&mut self) {
        while self.run_one() {}
    }

    fn run_one(&mut self) -> bool {
        self.pull();
        match self.ready.iter().position(|(_, id)| !self.gated.contains(id)) {
            Some(place) => {
                self.end(place);
                true
            }
            None => false,
        }
    }

    fn end(&mut self, place: usize) {
        use prewire_runtime_core::sync::Ordering;
        let (slot, id) = self.ready.remove(place);
        let graph = Arc::clone(&self.graph);
        let index = slot;
        let slot = graph.slots.get(index);
        let runs = slot.cause() == NO_CAUSE;
        if runs {
            self.run_body(&graph, index, id);
        }
        let cause = slot.cause();
        let ending = if cause == NO_CAUSE { Ending::Ok } else { Ending::Failed };
        // SAFETY: each task is ended once.
        for edge in unsafe { slot.consumers.close(&graph.edges, ending) } {
            let consumer = graph.slots.get(edge.consumer);
            if ending == Ending::Failed && edge.flags.contains(EdgeFlags::DATA) {
                consumer.blame(cause);
            }
            assert!(edge.flags.contains(EdgeFlags::WAIT), "an edge on a list is waited for");
            if consumer.arrive() {
                // SAFETY: this arrival made it ready.
                unsafe { graph.route(edge.consumer) };
            }
        }
        release(&graph, slot);
        graph.progress[0].completed.fetch_add(1, Ordering::Release);
        graph.progress[0].unrun.fetch_add(u64::from(!runs), Ordering::Release);
        graph.progress[0].epoch.fetch_add(1, Ordering::Release);
        self.gated.remove(&id);
        if self.remember {
            self.ended.push((id, runs));
        }
        self.tell_busy();
    }

    fn run_body(&mut self, graph: &Graph, index: SlotIndex, id: TaskId) {
        let slot = graph.slots.get(index);
        // SAFETY: the task has not ended.
        let body = *unsafe { slot.body() };
        if let Some((code, text)) = self.failing.remove(&id) {
            // SAFETY: as above.
            let ordinal = unsafe { graph.slots.ordinal(index) };
            graph.run.record_failure(ordinal, failure(id, code, &text));
            slot.blame(ordinal);
            return;
        }
        if let Some(mut run) = self.bodies.remove(&id) {
            let (tensors, scalars) = arguments_of(graph, &body);
            run(&Seen { tensors: &tensors, scalars: &scalars });
        }
    }
}

/// Copies of a task's arguments.
pub(crate) fn arguments_of(
    graph: &Graph,
    body: &prewire_runtime_core::slot::TaskBody,
) -> (Vec<TensorArgument>, Vec<u64>) {
    let (first, count) = (body.arguments, u32::from(body.tensors));
    // SAFETY: the unit belongs to a task that has not ended.
    let unit = |unit| unsafe { *graph.arguments.pointer(unit) };
    // SAFETY: the unit was written as a tensor.
    let tensors = (first..first + count).map(|place| unsafe { unit(place).tensor }).collect();
    let scalars = (0..u32::from(body.scalars))
        // SAFETY: the unit was written as scalars.
        .map(|place| unsafe { unit(first + count + place / 8).scalars }[place as usize % 8])
        .collect();
    (tensors, scalars)
}

/// What a scheduler does last with a task: drops the holds on what it retained, then the task's own.
pub(crate) fn release(graph: &Graph, slot: &prewire_runtime_core::slot::Slot) {
    // SAFETY: the task holds itself until the end of this function.
    let body = *unsafe { slot.body() };
    if body.flags.has(TaskFlags::RETAINS) {
        for edge in body.edges..body.edges + body.edge_count {
            // SAFETY: the edges belong to a task that is not reclaimed.
            let edge = unsafe { graph.edges.get(EdgeIndex(edge)).read() };
            if edge.flags.contains(EdgeFlags::RETAIN) {
                graph.release(graph.slots.get(edge.producer));
            }
        }
    }
    graph.release(slot);
}

pub(crate) fn failure(task: TaskId, code: i32, text: &str) -> KernelFailure {
    KernelFailure {
        task,
        kernel: KERNEL,
        kernel_name: "test".to_owned(),
        block: 0,
        core: "AIV_0".to_owned(),
        code,
        text: text.to_owned(),
    }
}

impl Blocking for Retirer {
    fn round(&mut self, _: &mut dyn FnMut() -> bool) -> bool {
        self.rounds += 1;
        if let Some(mut each) = self.each_round.take() {
            for id in each(self.rounds) {
                self.pull();
                if self.ready.iter().any(|&(_, ready)| ready == id) {
                    self.complete(id);
                }
            }
            self.each_round = Some(each);
        }
        let achieved = self.works && self.run_one();
        if !achieved {
            self.now_ns += self.tick_ns;
        }
        self.pull();
        achieved
    }

    fn done(&mut self) {}

    fn now_ns(&self) -> u64 {
        self.now_ns
    }
}
