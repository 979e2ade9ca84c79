//! Putting a runtime together: the same engine on whatever platform it is given.

use super::builder::{BuildError, Plan};
use super::instance;
use super::lifecycle::Runtime;
use super::machine::{Drive, Machine};
use super::shared::{Facts, Shared};
use super::stand_in;
use super::supervisor;
use prewire_orchestrator::{Orchestrator, OrchestratorConfig};
use prewire_platform_sim::{Engine, Sim, SimConfig, SimMemory, VirtualSim};
use prewire_runtime_core::graph::Graph;
use prewire_runtime_core::memory::DeviceMemory;
use prewire_runtime_core::sync::thread;
use prewire_runtime_core::waiting::Doorbell;
use prewire_scheduler::SchedulerConfig;
use std::sync::Arc;

/// What differs between platforms when a runtime is put together.
pub(crate) struct Equipment {
    pub(crate) machine: Arc<dyn Drive>,
    /// The same machine, if it runs in virtual time.
    pub(crate) virtual_time: Option<Arc<Machine<VirtualSim>>>,
    pub(crate) memory: Arc<dyn DeviceMemory>,
}

/// Room for so many blocks per core before a recording has to grow.
const EXECUTIONS_PER_CORE: usize = 1024;

impl Runtime {
    pub(super) fn assemble(plan: Plan) -> Result<Self, BuildError> {
        let (chip, engine) = (plan.chip.clone(), plan.engine);
        Runtime::assemble_on(plan, None, |scheduling, graph| {
            let memory = Arc::new(SimMemory::new(&chip));
            let made_with = SimConfig::new(chip, engine);
            if let Engine::Virtual { .. } = engine {
                let platform = Arc::new(VirtualSim::new(made_with, graph.clone(), memory.clone())?);
                let machine = Arc::new(Machine::new(scheduling, graph.clone(), platform));
                machine.platform.set_watch_interval(machine.check_interval());
                Ok(Equipment { machine: machine.clone(), virtual_time: Some(machine), memory })
            } else {
                let platform = Arc::new(Sim::new(made_with, graph.clone(), memory.clone())?);
                let machine = Arc::new(Machine::new(scheduling, graph.clone(), platform));
                Ok(Equipment { machine, virtual_time: None, memory })
            }
        })
    }

    /// The engine on whatever platform `equip` makes for it. No thread of the runtime exists while it is called.
    pub(crate) fn assemble_on<E: From<BuildError>>(
        plan: Plan,
        doorbell: Option<Arc<dyn Doorbell>>,
        equip: impl FnOnce(SchedulerConfig, &Arc<Graph>) -> Result<Equipment, E>,
    ) -> Result<Self, E> {
        let config = OrchestratorConfig {
            window: plan.window,
            heap_bytes: plan.heap,
            edges: plan.edges,
            index_entries: plan.index_entries,
            hazards: plan.hazards,
            no_progress: plan.no_progress,
            data_wait: plan.data_wait,
            first_sequence: plan.first_sequence,
            record: plan.record_graph,
        };
        let instances = plan.instances;
        let clusters = plan.chip.clusters;
        let chip = plan.chip.clone();
        let sizes = config.graph_sizes(instances, &chip);
        let owner = |core| chip.place_of(core).0 as usize % instances;
        let graph = Arc::new(Graph::with_doorbell(sizes, owner, doorbell));
        debug_assert!(instances <= clusters as usize);
        let scheduling = SchedulerConfig {
            watchdog: plan.watchdog,
            gang_warning: plan.gang_warning,
            ..SchedulerConfig::new(instances)
        };
        let Equipment { machine, virtual_time, memory } = equip(scheduling, &graph)?;
        if plan.record_trace {
            machine.chip().start_recording(EXECUTIONS_PER_CORE);
        }
        let mut orchestrator =
            Orchestrator::new(config, graph.clone(), memory.clone(), &chip).map_err(BuildError::from)?;
        let informer = machine.clone();
        orchestrator.describe_with(move |_, task| {
            let running = informer.stall_report().running_tasks;
            let found = running.into_iter().find(|running| running.task == task)?;
            Some(format!("running on {} since {} ms (kernel {})", found.core, found.running_ms, found.kernel))
        });
        let facts = Facts {
            chip: plan.chip.clone(),
            driven_by_caller: plan.driven_by_caller,
            stand_in: plan.stand_in,
            watchdog: plan.watchdog,
            record_trace: plan.record_trace,
            depth: plan.depth,
        };
        let shared = Shared::new(facts, orchestrator, graph, memory, machine, virtual_time, plan.waiting);
        let mut runtime = Runtime { shared: Arc::new(shared), kernels: Arc::default(), threads: Vec::new(), plan };
        runtime.start_threads()?;
        Ok(runtime)
    }

    fn start_threads(&mut self) -> Result<(), BuildError> {
        if self.shared.virtual_time.is_some() {
            // Whoever calls a run plays everybody.
            return Ok(());
        }
        for index in self.plan.driven_by_caller..self.plan.instances {
            let shared = self.shared.clone();
            let thread = thread::Builder::new().name(format!("scheduler-{index}"));
            self.threads.push(thread.spawn(move || instance::drive(&shared, index))?);
        }
        if self.plan.stand_in {
            let shared = self.shared.clone();
            let thread = thread::Builder::new().name("stand-in".to_owned());
            self.threads.push(thread.spawn(move || stand_in::drive(&shared))?);
        }
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name("supervisor".to_owned());
        self.threads.push(thread.spawn(move || supervisor::supervise(&shared))?);
        Ok(())
    }
}
