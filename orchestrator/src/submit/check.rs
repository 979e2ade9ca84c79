//! Whether a task can be run at all. Nothing is changed; what is worked out on the way is kept in a [`Plan`].

use crate::Orchestrator;
use crate::index::Access;
use prewire_runtime_core::arguments::ENTRIES_PER_UNIT;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::error::{Fatal, Refusal};
use prewire_runtime_core::id::{CoreId, KernelId};
use prewire_runtime_core::kernel::{KernelSet, MAX_KERNELS};
use prewire_runtime_core::slot::{Parts, Shape, TaskFlags};
use prewire_runtime_core::task::{ArgumentLimits, MAX_BLOCKS, Mistake, Placement, Task};
use prewire_runtime_core::tensor::{DataType, Tensor};

/// What a checked task comes down to, and where it goes once it is admitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) kernels: [KernelId; 3],
    pub(crate) parts: Parts,
    pub(crate) flags: TaskFlags,
    pub(crate) blocks: u32,
    pub(crate) tensors: u16,
    pub(crate) scalars: u16,
    /// Whether it overwrites a tensor that another task allocated.
    pub(crate) overwrites: bool,
    /// Whether it keeps a producer; known when it is admitted.
    pub(crate) retains: bool,
    /// Bytes of the outputs, packed.
    pub(crate) bytes: u64,
    /// Where in the ring's heap and edges it goes; known when it is admitted.
    pub(crate) heap_start: u64,
    pub(crate) edges_start: u64,
    pub(crate) core: CoreId,
    pub(crate) budget_ns: u64,
    /// Units of a directory and of all that it names; 0 for a task without one.
    pub(crate) group_units: u64,
}

impl Plan {
    /// A task without kernels, arguments and outputs.
    #[inline]
    pub(crate) const fn dummy() -> Plan {
        Plan {
            kernels: [KernelId(0); 3],
            parts: Parts(0),
            flags: TaskFlags(0),
            blocks: 1,
            tensors: 0,
            scalars: 0,
            overwrites: false,
            retains: false,
            bytes: 0,
            heap_start: 0,
            edges_start: 0,
            core: CoreId(0),
            budget_ns: 0,
            group_units: 0,
        }
    }

    /// A task as it says itself, before it is checked.
    #[inline]
    pub(crate) fn of(task: &Task<'_>) -> Plan {
        let (parts, kernels) = task.parts_named();
        let (tensors, scalars) = (task.tensors_named().len() as u16, task.scalars_named().len() as u16);
        Plan { kernels, parts, tensors, scalars, ..Plan::dummy() }
    }

    /// The units of the task's own arguments.
    #[inline]
    pub(crate) fn units(&self) -> u32 {
        units_of(self.tensors, self.scalars)
    }

    /// The units of a directory with an entry for each block.
    pub(crate) fn directory_units(&self) -> u32 {
        self.blocks.div_ceil(ENTRIES_PER_UNIT as u32)
    }

    /// Whether the cold part of the slot says more than the order of submission.
    #[inline]
    pub(crate) fn has_extra(&self) -> bool {
        const EXTRA: u8 = TaskFlags::PREDICATE.0 | TaskFlags::DIRECTED.0 | TaskFlags::BUDGET.0;
        self.flags.0 & EXTRA != 0
    }
}

/// Argument units: one per tensor, one for eight scalars.
#[inline]
pub(crate) fn units_of(tensors: u16, scalars: u16) -> u32 {
    u32::from(tensors) + u32::from(scalars).div_ceil(8)
}

/// Why a task cannot be run. Boxed, so that a task that can costs nothing for it.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// The call is refused.
    Refused(Refusal),
    /// The run ends.
    Fatal(Fatal),
}

impl From<Refusal> for Box<Unfit> {
    #[cold]
    fn from(refusal: Refusal) -> Self {
        Box::new(Unfit::Refused(refusal))
    }
}

/// Which cores each registered kernel runs on, small enough to stay in a cache.
#[derive(Debug)]
pub(crate) struct KernelKinds(Box<[u8; MAX_KERNELS]>);

/// A kernel's bit for cores of a kind.
#[inline]
const fn bit(kind: CoreKind) -> u8 {
    1 << kind as u8
}

/// A kernel's bit for waiting for none of its siblings.
const NEVER_WAITS: u8 = 1 << 4;

impl KernelKinds {
    pub(crate) fn new() -> Self {
        KernelKinds(Box::new([0; MAX_KERNELS]))
    }

    pub(crate) fn learn(&mut self, kernels: &KernelSet) {
        self.0.fill(0);
        for (id, kernel) in kernels.iter() {
            let kinds = kernel.kind.map_or(bit(CoreKind::Cube) | bit(CoreKind::Vector), bit);
            self.0[id.index()] = if kernels.never_waits(id) { kinds | NEVER_WAITS } else { kinds };
        }
    }

    /// Whether the kernel may wait for another block or part of its task.
    fn may_wait(&self, kernel: KernelId) -> bool {
        self.0.get(kernel.index()).is_none_or(|kinds| kinds & NEVER_WAITS == 0)
    }

    /// Whether the task is for one core of either kind, and its kernel is registered for that. The bits of these two parts are those of their kinds.
    #[inline]
    pub(super) fn run_on_one_core(&self, task: &Task<'_>) -> bool {
        const _: () = assert!(
            Parts::CUBE.0 == bit(CoreKind::Cube)
                && Parts::VECTOR_0.0 == bit(CoreKind::Vector)
                && bit(CoreKind::Vector) == 2
        );
        let (parts, _) = task.parts_named();
        let part = usize::from(parts.0.wrapping_sub(1));
        part < 2 && self.0.get(task.kernel_of_part(part).index()).is_some_and(|kinds| kinds & parts.0 != 0)
    }

    /// Whether the kernel is registered for cores of the kind.
    #[inline]
    fn runs_on(&self, kernel: KernelId, kind: CoreKind) -> bool {
        self.0.get(kernel.index()).is_some_and(|kinds| kinds & bit(kind) != 0)
    }
}

/// The kind of core that is each part of a cluster.
const PART_KINDS: [CoreKind; 3] = [CoreKind::Cube, CoreKind::Vector, CoreKind::Vector];

impl Orchestrator {
    /// Checks everything but the tensor arguments, which are checked as they are looked up. Most tasks are for one core of either kind and say nothing
    /// special.
    #[inline(always)]
    pub(crate) fn check(&mut self, task: &Task<'_>, plan: &mut Plan) -> Result<(), Box<Unfit>> {
        let (tensors, scalars) = (task.tensors_named().len(), task.scalars_named().len());
        if tensors > self.tensors_at_ease || scalars > usize::from(self.chip.arguments.scalars) {
            self.check_many(task)?;
        }
        if !task.is_ordinary() || !self.scratch.kinds.run_on_one_core(task) {
            self.check_more(task, plan)?;
        }
        Ok(())
    }

    /// Checks the arguments of a task that has more of them than can be passed over.
    #[inline(never)]
    fn check_many(&mut self, task: &Task<'_>) -> Result<(), Box<Unfit>> {
        let (tensors, scalars, limits) = (task.tensors_named(), task.scalars_named(), self.chip.arguments);
        if tensors.len() > usize::from(limits.tensors) || scalars.len() > usize::from(limits.scalars) {
            return Err(too_many(task, limits));
        }
        Ok(self.check_writes(tensors)?)
    }

    /// What few tasks have: several parts or blocks, a gang, a place, a predicate, a budget, no kernel at all.
    #[cold]
    fn check_more(&mut self, task: &Task<'_>, plan: &mut Plan) -> Result<(), Box<Unfit>> {
        if let Some(mistake) = task.first_mistake() {
            return Err(refusal_of(mistake));
        }
        for (part, (kernel, kind)) in plan.kernels.into_iter().zip(PART_KINDS).enumerate() {
            if plan.parts.has(part) && !self.scratch.kinds.runs_on(kernel, kind) {
                return Err(self.wrong_kernel(task, kernel, kind));
            }
        }
        if task.issue_named() != 0 {
            self.check_issue(task)?;
        }
        if let Some(budget) = task.own_budget() {
            plan.flags = plan.flags.with(TaskFlags::BUDGET);
            plan.budget_ns = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX);
        }
        if plan.parts.count() == 0 {
            // A dummy runs on no core, so blocks, gangs, places and predicates mean nothing for it.
            return if task.is_dummy() { Ok(()) } else { Err(Refusal::NoKernel.into()) };
        }
        if plan.parts == Parts::VECTOR_1 {
            // A task of one vector core may run on either of a cluster's two.
            plan.parts = Parts::VECTOR_0;
            plan.kernels[1] = plan.kernels[2];
        }
        plan.blocks = task.block_count();
        if let Some(members) = task.members_named() {
            self.check_members(task, members, plan)?;
        }
        let cores = if let Placement::Cores(cores) = task.placed() { Some(cores) } else { None };
        if let Some(cores) = cores {
            self.check_cores(cores, plan)?;
        }
        let gang = (task.is_gang() || cores.is_some()) && plan.blocks > 1;
        let several = plan.parts.count() > 1 || plan.blocks > 1;
        let waits = (0..3).any(|part| plan.parts.has(part) && self.scratch.kinds.may_wait(plan.kernels[part]));
        if waits && (gang || plan.parts.count() > 1 || (task.parts_communicate() && several)) {
            if !self.concurrency {
                return Err(Refusal::NeedsConcurrency.into());
            }
            plan.flags = plan.flags.with(TaskFlags::CONCURRENT);
        }
        if gang {
            self.check_gang(plan)?;
            plan.flags = plan.flags.with(TaskFlags::GANG);
        }
        match (task.placed(), cores) {
            (Placement::Core(core), _) => {
                if gang {
                    let problem = "is one core, and the task's blocks are to start together";
                    return Err(Refusal::Core { core: u32::from(core.0), problem }.into());
                }
                self.check_core(core, plan)?;
                plan.flags = plan.flags.with(TaskFlags::DIRECTED);
                plan.core = core;
            }
            (_, Some(&[core])) => {
                plan.flags = plan.flags.with(TaskFlags::DIRECTED);
                plan.core = core;
            }
            (_, Some(_)) => {
                plan.flags = plan.flags.with(TaskFlags::DIRECTED).with(TaskFlags::DIRECTORY);
                plan.group_units += u64::from(plan.units());
            }
            (_, None) => {}
        }
        if plan.flags.has(TaskFlags::DIRECTORY) {
            plan.group_units += u64::from(plan.directory_units());
        }
        if task.predicated().is_some() {
            self.check_predicate(task)?;
            plan.flags = plan.flags.with(TaskFlags::PREDICATE);
        }
        Ok(())
    }

    /// Whether the kernels that the task names are still those that it means.
    fn check_issue(&self, task: &Task<'_>) -> Result<(), Refusal> {
        let issue = task.issue_named();
        let outdated = |kernel: &&KernelId| !self.kernels.is_issued(**kernel, issue);
        let Some(kernel) = task.kernels_named().iter().flatten().find(outdated).copied() else { return Ok(()) };
        let problem = if self.kernels.is_own_issue(issue) {
            "is of one that was unregistered, or was registered after this run had begun"
        } else {
            "is one of another runtime"
        };
        Err(Refusal::Callable { kernel: u32::from(kernel.0), problem })
    }

    #[cold]
    fn wrong_kernel(&self, task: &Task<'_>, kernel: KernelId, kind: CoreKind) -> Box<Unfit> {
        if task.issue_named() != 0
            && let Err(refusal) = self.check_issue(task)
        {
            return refusal.into();
        }
        let refusal = match self.kernels.get(kernel) {
            None => Refusal::UnknownKernel { kernel: u32::from(kernel.0) },
            Some(known) => Refusal::WrongKind {
                name: known.name.clone(),
                registered: known.kind.map_or("all cores", |kind| self.chip.kinds[kind as usize]),
                placed: self.chip.kinds[kind as usize],
            },
        };
        refusal.into()
    }

    fn check_gang(&self, plan: &Plan) -> Result<(), Box<Unfit>> {
        let available = match plan.parts.shape() {
            Shape::Vector => self.chip.vector_cores(),
            Shape::Cube | Shape::Cluster | Shape::Dummy => self.chip.cube_cores(),
        };
        let (requested, available) = (u64::from(plan.blocks), u64::from(available));
        if requested > available {
            return Err(Box::new(Unfit::Fatal(Fatal::GangTooLarge { requested, available })));
        }
        Ok(())
    }

    pub(super) fn check_core(&self, core: CoreId, plan: &Plan) -> Result<(), Box<Unfit>> {
        let problem = if core.0 >= self.chip.cores() {
            "is not on the chip"
        } else if plan.parts.count() > 1 {
            "is one core, and the task needs several of a cluster"
        } else if (plan.parts.shape() == Shape::Cube) != (self.chip.kind_of(core) == CoreKind::Cube) {
            "is of another kind than the task's kernel needs"
        } else {
            return Ok(());
        };
        Err(Refusal::Core { core: u32::from(core.0), problem }.into())
    }

    /// What is wrong with a tensor that is not usable.
    #[cold]
    pub(crate) fn unusable(&self, argument: usize, tensor: &Tensor) -> Refusal {
        if tensor.scope() == Tensor::NO_SCOPE {
            if !tensor.buffer().is_external() || !self.external.has(tensor) && self.limited.terms(tensor).is_none() {
                return Refusal::ForeignMemory { argument };
            }
        } else if !self.scopes.is_open(tensor.scope()) {
            return Refusal::ScopeClosed { argument, owner: tensor.owner() };
        }
        Refusal::UnknownDataType { argument, data_type: tensor.data_type(), chip: self.chip.name }
    }

    /// The same where the memory may be one that only some tasks may use.
    #[cold]
    pub(crate) fn not_allowed(&self, argument: usize, tensor: &Tensor, plan: &Plan, access: Option<Access>) -> Refusal {
        match self.limited.terms(tensor) {
            Some(terms) if !terms.allow(plan, access) => terms.refusal(argument, plan, access, &self.chip),
            _ => self.unusable(argument, tensor),
        }
    }

    /// Whether the chip's kernels know the element type.
    #[inline]
    pub(crate) fn knows(&self, data_type: DataType) -> bool {
        self.known_types >> data_type.index() & 1 != 0
    }

    fn check_predicate(&mut self, task: &Task<'_>) -> Result<(), Refusal> {
        let Some(predicate) = task.predicated() else { return Ok(()) };
        if !self.parties().validity.is_usable(predicate.operand) {
            return Err(self.unusable(task.tensors_named().len(), predicate.operand));
        }
        let data_type = predicate.operand.data_type();
        if !data_type.is_integer() && data_type != DataType::Bool {
            let problem = format!("compares an element of type {data_type}; it must be an integer");
            return Err(Refusal::Predicate { problem });
        }
        match predicate.operand.element_address(predicate.indices) {
            Ok(_) => Ok(()),
            Err(error) => Err(Refusal::Predicate { problem: format!("names no element of its operand: {error}") }),
        }
    }
}

/// The task has too many arguments, unless another mistake was made before they were given.
#[cold]
fn too_many(task: &Task<'_>, limits: ArgumentLimits) -> Box<Unfit> {
    let [tensors, scalars] = task.given_before_mistake();
    if let Some(mistake) = task.first_mistake()
        && too_many_of(tensors, scalars, limits).is_none()
    {
        return refusal_of(mistake);
    }
    let refusal = too_many_of(task.tensors_named().len(), task.scalars_named().len(), limits);
    refusal.expect("the task has too many arguments").into()
}

pub(super) fn too_many_of(tensors: usize, scalars: usize, limits: ArgumentLimits) -> Option<Refusal> {
    let [most_tensors, most_scalars] = [limits.tensors, limits.scalars].map(usize::from);
    if tensors > most_tensors {
        Some(Refusal::TooManyTensors { count: tensors, limit: most_tensors })
    } else {
        (scalars > most_scalars).then_some(Refusal::TooManyScalars { count: scalars, limit: most_scalars })
    }
}

#[cold]
fn refusal_of(mistake: Mistake) -> Box<Unfit> {
    let refusal = match mistake {
        Mistake::Blocks(blocks) => Refusal::Blocks { blocks, limit: MAX_BLOCKS },
        Mistake::ZeroBudget => Refusal::ZeroBudget,
    };
    refusal.into()
}
