//! What the tests drive an orchestrator with: memory on the host, and a retirer that stands where schedulers and cores stand.

mod memory;
mod retirer;

use memory::HostMemory;
use prewire_orchestrator::{Orchestrator, OrchestratorConfig, Submitted};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::error::{Fatal, Refusal, SubmitError};
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::id::{BufferId, KernelId, TaskId};
use prewire_runtime_core::kernel::{Kernel, KernelFunction, KernelSet};
use prewire_runtime_core::memory::DeviceMemory;
use prewire_runtime_core::task::{Argument, Task};
use prewire_runtime_core::tensor::{DataType, Tensor, TensorLayout};
pub(crate) use retirer::{Retirer, Seen, arguments_of, release};
use std::sync::Arc;

/// The kernel that every test task names, for either kind of core.
pub(crate) const KERNEL: KernelId = KernelId(0);

/// A chip of four clusters that does not know every type of element.
fn chip() -> ChipSpec {
    use DataType::*;
    ChipSpec { data_types: &[F32, I32, I16, I8, U8, I64, U64, U16, U32, Bool], ..ChipSpec::unit(4) }
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
        let graph = Arc::new(Graph::new(config.graph_sizes(1, &chip), |_| 0));
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
