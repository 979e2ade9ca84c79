//! What the tests drive an orchestrator with: memory on the host, and a retirer that stands where schedulers and cores stand in a whole runtime. It
//! takes ready tasks out of the queues, runs a test's closures in place of kernels, and ends tasks when the test says so.

use prewire_orchestrator::{Orchestrator, OrchestratorConfig, Submitted};
use prewire_runtime_core::chip::{ChipSpec, Latencies, Rates, RegisterMap};
use prewire_runtime_core::consumers::Ending;
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::error::{Fatal, KernelFailure, Refusal, SubmitError};
use prewire_runtime_core::graph::{Graph, Queue};
use prewire_runtime_core::id::{BufferId, EdgeIndex, KernelId, SlotIndex, TaskId};
use prewire_runtime_core::kernel::{Kernel, KernelFunction, KernelSet};
use prewire_runtime_core::memory::{DeviceMemory, OutOfMemory};
use prewire_runtime_core::slot::{NO_CAUSE, TaskFlags};
use prewire_runtime_core::task::{Argument, Scalar, Task};
use prewire_runtime_core::tensor::{DataType, Tensor, TensorArgument, TensorLayout};
use prewire_runtime_core::waiting::Blocking;
use std::alloc::Layout;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// The kernel that every test task names, for either kind of core.
pub(crate) const KERNEL: KernelId = KernelId(0);

/// Memory of the process.
#[derive(Default)]
pub(crate) struct HostMemory(Mutex<HashMap<u64, (u64, Layout)>>);

impl DeviceMemory for HostMemory {
    fn allocate(&self, bytes: u64) -> Result<u64, OutOfMemory> {
        // The system zeroes memory of ordinary alignment without touching it.
        let layout = Layout::from_size_align(bytes as usize + 4096, 8)
            .map_err(|error| OutOfMemory { bytes, reason: error.to_string() })?;
        // SAFETY: the layout has a size.
        let start = unsafe { std::alloc::alloc_zeroed(layout) } as u64;
        if start == 0 {
            return Err(OutOfMemory { bytes, reason: "the process has no more".to_owned() });
        }
        let address = start.next_multiple_of(4096);
        self.0.lock().unwrap().insert(address, (start, layout));
        Ok(address)
    }

    unsafe fn free(&self, address: u64) {
        let (start, layout) = self.0.lock().unwrap().remove(&address).expect("freed once");
        // SAFETY: allocated above with this layout.
        unsafe { std::alloc::dealloc(start as *mut u8, layout) };
    }

    unsafe fn read(&self, address: u64, into: &mut [u8]) {
        // SAFETY: by contract.
        unsafe { std::ptr::copy_nonoverlapping(address as *const u8, into.as_mut_ptr(), into.len()) };
    }

    unsafe fn write(&self, address: u64, from: &[u8]) {
        // SAFETY: by contract.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), address as *mut u8, from.len()) };
    }

    unsafe fn fill(&self, address: u64, value: Scalar, element_bytes: u64, count: u64) {
        for element in 0..count {
            let bytes = &value.0.to_le_bytes()[..element_bytes as usize];
            // SAFETY: by contract.
            unsafe { self.write(address + element * element_bytes, bytes) };
        }
    }
}

/// A chip of four clusters.
pub(crate) fn chip() -> ChipSpec {
    ChipSpec {
        name: "test",
        clusters: 4,
        dies: 1,
        threads_default: 2,
        threads_max: 2,
        counter_hz: 1_000_000_000,
        registers: RegisterMap { dispatch: 0, condition: 8, fast_path: None, pages: &[] },
        coherent: true,
        latencies: Latencies {
            register_read_ns: (1, 1),
            register_write_ns: 1,
            dispatch_ns: 1,
            completion_ns: (1, 1),
            start_ns: (1, 1),
            submit_ns: 1,
            resolve_ns: 1,
        },
        rates: Rates { cube_multiply_adds_per_ns: 1.0, vector_operations_per_ns: 1.0, memory_bytes_per_ns: 1.0 },
        data_types: &[
            DataType::F32,
            DataType::I32,
            DataType::I16,
            DataType::I8,
            DataType::U8,
            DataType::I64,
            DataType::U64,
            DataType::U16,
            DataType::U32,
            DataType::Bool,
        ],
        exit_deadline_ms: 1,
        handshake_deadline_ms: 1,
    }
}

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
    bodies: HashMap<TaskId, Body>,
    /// Tasks that fail when they run.
    failing: HashMap<TaskId, (i32, String)>,
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

    fn tell_busy(&self) {
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
        let slot = graph.slots.get(slot);
        let runs = slot.cause() == NO_CAUSE;
        if runs {
            self.run_body(&graph, slot, id);
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

    fn run_body(&mut self, graph: &Graph, slot: &prewire_runtime_core::slot::Slot, id: TaskId) {
        // SAFETY: the task has not ended.
        let body = *unsafe { slot.body() };
        if let Some((code, text)) = self.failing.remove(&id) {
            // SAFETY: as above.
            let ordinal = unsafe { slot.extra() }.ordinal;
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

/// An orchestrator, its graph and the retirer, in a run.
pub(crate) struct Rig {
    pub(crate) orchestrator: Orchestrator,
    pub(crate) retirer: Retirer,
    pub(crate) graph: Arc<Graph>,
    pub(crate) memory: Arc<HostMemory>,
    pub(crate) kernels: Arc<KernelSet>,
    run: u32,
}

/// Small rings, everything logged.
pub(crate) fn small() -> OrchestratorConfig {
    OrchestratorConfig {
        window: [64; 4],
        heap_bytes: [64 << 10; 4],
        edges: [256; 4],
        index_entries: 4096,
        ..OrchestratorConfig::default()
    }
}

/// Small rings that keep finished tasks while they can, so that edges to them are logged.
pub(crate) fn recorded() -> OrchestratorConfig {
    OrchestratorConfig { record: true, window: [1024; 4], edges: [4096; 4], ..small() }
}

impl Rig {
    pub(crate) fn new(config: OrchestratorConfig) -> Self {
        let chip = chip();
        let graph = Arc::new(Graph::new(config.graph_sizes(1, chip.cores() as usize), |_| 0));
        let memory = Arc::new(HostMemory::default());
        let orchestrator = Orchestrator::new(config, Arc::clone(&graph), memory.clone(), &chip).unwrap();
        let mut kernels = KernelSet::default();
        let function = KernelFunction::Rust(Arc::new(|_| Ok(())));
        kernels.register(Kernel { name: "test".to_owned(), kind: None, function }).unwrap();
        let mut rig = Rig {
            orchestrator,
            retirer: Retirer::new(Arc::clone(&graph)),
            graph,
            memory,
            kernels: Arc::new(kernels),
            run: 0,
        };
        rig.begin();
        rig
    }

    /// Begins a run.
    pub(crate) fn begin(&mut self) {
        self.run += 1;
        self.graph.run.begin(self.run);
        self.orchestrator.begin_run(self.run, Arc::clone(&self.kernels), true);
    }

    /// Ends the run: everything that is not gated runs, and what is left is dropped.
    pub(crate) fn finish(&mut self) {
        self.orchestrator.end_run(&mut self.retirer);
        self.retirer.gated.clear();
        if !self.graph.run.is_cancelled() {
            self.retirer.run();
        }
        self.graph.clear_queues();
        self.orchestrator.after_run();
        self.retirer = Retirer::new(Arc::clone(&self.graph));
        self.retirer.tell_busy();
    }

    /// The next run works: tasks in a row over one tensor, each run once.
    pub(crate) fn is_usable(&mut self) -> bool {
        self.finish();
        self.begin();
        let tensor = self.external(&[1]);
        for _ in 0..100 {
            self.inout(&tensor, |seen| seen.set(0, 0, seen.get(0, 0) + 1));
        }
        self.retirer.run();
        self.read(&tensor, 0) == 100
    }

    /// A new tensor of u32 outside the heaps, all 0.
    pub(crate) fn external(&mut self, shape: &[u32]) -> Tensor {
        let bytes = shape.iter().map(|&extent| u64::from(extent)).product::<u64>() * 4;
        let address = self.memory.allocate(bytes).unwrap();
        let buffer = self.orchestrator.register_external(address, bytes);
        self.over(address, bytes, buffer, shape, DataType::U32)
    }

    pub(crate) fn over(
        &self,
        address: u64,
        bytes: u64,
        buffer: BufferId,
        shape: &[u32],
        data_type: DataType,
    ) -> Tensor {
        let layout = TensorLayout::row_major(shape, data_type).unwrap();
        Tensor::external(address, bytes, buffer, 0, layout).unwrap()
    }

    /// Submits a vector task with these arguments.
    pub(crate) fn task(&mut self, arguments: &[Argument<'_>]) -> TaskId {
        self.submit(&Task::vector(KERNEL).arguments(arguments))
    }

    pub(crate) fn submit(&mut self, task: &Task<'_>) -> TaskId {
        self.try_submit(task).unwrap().0
    }

    /// Submits, and gives the outputs as copies.
    pub(crate) fn try_submit(&mut self, task: &Task<'_>) -> Result<(TaskId, Vec<Tensor>), SubmitError> {
        let Submitted { id, outputs } = self.orchestrator.submit(task, &mut self.retirer)?;
        Ok((id, outputs.to_vec()))
    }

    pub(crate) fn input(&mut self, tensor: &Tensor, body: impl FnMut(&Seen<'_>) + 'static) -> TaskId {
        let id = self.task(&[Argument::Input(tensor)]);
        self.does(id, body)
    }

    pub(crate) fn inout(&mut self, tensor: &Tensor, body: impl FnMut(&Seen<'_>) + 'static) -> TaskId {
        let id = self.task(&[Argument::InOut(tensor)]);
        self.does(id, body)
    }

    pub(crate) fn overwrite(&mut self, tensor: &Tensor, body: impl FnMut(&Seen<'_>) + 'static) -> TaskId {
        let id = self.task(&[Argument::OutputExisting(tensor)]);
        self.does(id, body)
    }

    /// What a task does when it runs; to be said before it can have run.
    pub(crate) fn does(&mut self, id: TaskId, body: impl FnMut(&Seen<'_>) + 'static) -> TaskId {
        self.retirer.bodies.insert(id, Box::new(body));
        id
    }

    /// The task fails when it runs.
    pub(crate) fn fails(&mut self, id: TaskId, code: i32, text: &str) {
        self.retirer.failing.insert(id, (code, text.to_owned()));
    }

    pub(crate) fn gate(&mut self, id: TaskId) -> TaskId {
        self.retirer.gated.insert(id);
        id
    }

    /// An element of a 32-bit tensor, without waiting for anybody.
    pub(crate) fn read(&self, tensor: &Tensor, place: u64) -> u32 {
        let mut bytes = [0; 4];
        // SAFETY: the test's own memory, used by one thread.
        unsafe { self.memory.read(tensor.first_byte() + place * 4, &mut bytes) };
        u32::from_le_bytes(bytes)
    }

    /// The pairs that have an edge.
    pub(crate) fn pairs(&self) -> Vec<(TaskId, TaskId)> {
        self.orchestrator.log().pairs()
    }

    pub(crate) fn has_edge(&self, producer: TaskId, consumer: TaskId) -> bool {
        self.pairs().binary_search(&(producer, consumer)).is_ok()
    }

    /// Opens an automatic scope.
    pub(crate) fn open(&mut self) {
        self.orchestrator.open_scope(prewire_orchestrator::ScopeMode::Automatic).unwrap();
    }

    pub(crate) fn close(&mut self) {
        self.orchestrator.close_scope().unwrap();
    }

    /// Closes a scope, also of a run that has ended.
    pub(crate) fn close_anyhow(&mut self) {
        let _ = self.orchestrator.close_scope();
    }
}

/// The fatal that a call gave.
pub(crate) fn fatal<T: std::fmt::Debug>(result: Result<T, SubmitError>) -> Fatal {
    match result {
        Err(SubmitError::Fatal(fatal)) => fatal,
        other => panic!("a fatal was expected, not {other:?}"),
    }
}

/// The refusal that a call gave.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, SubmitError>) -> Refusal {
    match result {
        Err(SubmitError::Refused(refusal)) => refusal,
        other => panic!("a refusal was expected, not {other:?}"),
    }
}
