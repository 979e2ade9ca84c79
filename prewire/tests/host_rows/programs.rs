//! Random programs on worker processes against their tasks run one by one on plain vectors.
//!
//! A program is made, submitted and interpreted in one pass: what it does next depends on its seed alone.

use crate::lost::{Lost, Places};
use crate::mixing::{INTENDED, elements, mix, mixed, written};
use crate::rig::host;
use prewire::host::{self, Callable, CallableId, HostBuilder, HostRuntime};
use prewire::{Argument, Buffer, CoreId, CoreKind, DataType, Member, NewTensor};
use prewire::{Placement, Report, Run, RunError, Scalar, ScopeMode, SubmitError, Task, Tensor};

const EXTERNAL: usize = 3;
const SIDE: u32 = 8;
/// Steps of a program.
const STEPS: usize = 30;
/// Tasks of open scopes from the first on that has an output: they are kept, and the smallest window has room for them.
const KEPT: u32 = 10;
/// Outputs of open scopes before a task that has a few more. Each takes 1 KiB of a heap; the smallest has room for these and twice a task's, wherever they lie.
const KEPT_OUTPUTS: u32 = 6;
/// New tensors of one member.
const MOST_NEW: usize = 2;
/// Scopes of this depth and deeper ones use the same ring.
const SHARED_DEPTH: usize = 3;

/// What a task does with a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Input,
    InOut,
    Overwrite,
    NoDependency,
    New,
}

#[derive(Clone, Debug)]
struct View {
    how: Use,
    /// The buffer's number; that of a new one is not known yet.
    buffer: usize,
    tensor: Option<Tensor>,
    places: Vec<usize>,
    shape: Vec<u32>,
}

impl View {
    fn argument(&self) -> Argument<'_> {
        match (self.how, &self.tensor) {
            (Use::Input, Some(tensor)) => Argument::Input(tensor),
            (Use::InOut, Some(tensor)) => Argument::InOut(tensor),
            (Use::Overwrite, Some(tensor)) => Argument::OutputExisting(tensor),
            (Use::NoDependency, Some(tensor)) => Argument::NoDependency(tensor),
            _ => Argument::Output(NewTensor::new(&self.shape, DataType::U32)),
        }
    }
}

/// An open scope.
#[derive(Clone, Copy, Debug)]
struct Scope {
    kept: u32,
    outputs: u32,
    /// How many buffers there were before it.
    buffers: usize,
}

/// A program that is on its way.
struct Program<'a> {
    random: u64,
    ids: &'a [CallableId],
    subs: &'a [CoreId],
    /// The values of every buffer, and the tensor that is all of it while it can be named.
    buffers: Vec<(Vec<u32>, Option<Tensor>)>,
    lost: Lost,
    scopes: Vec<Scope>,
    /// Tasks that fail, or are not run for it; and how many of these fail.
    unrun: u64,
    failed: u64,
    tasks: usize,
    /// The kinds of things that were seen, for the test of the test.
    seen: Seen,
}

/// What programs were made of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    groups: usize,
    failed_groups: usize,
    directed: usize,
    next_level: usize,
    unrun: usize,
    strided: usize,
    uses: [usize; 5],
    scopes: usize,
}

impl Program<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(1);
        (mixed(self.random, 7) % bound as u64) as usize
    }

    /// Runs all steps.
    fn submit(&mut self, run: &mut Run<'_>) -> Result<(), SubmitError> {
        for _ in 0..STEPS {
            match self.below(8) {
                0 if self.scopes.len() < 5 => {
                    run.open_scope(ScopeMode::Automatic)?;
                    self.seen.scopes += 1;
                    self.scopes.push(Scope { kept: 0, outputs: 0, buffers: self.buffers.len() });
                }
                1 if !self.scopes.is_empty() => self.close(run)?,
                _ => {
                    let kept: u32 = self.scopes.iter().map(|scope| scope.kept).sum();
                    let outputs: u32 = self.scopes.iter().map(|scope| scope.outputs).sum();
                    if kept >= KEPT || outputs > KEPT_OUTPUTS {
                        self.close(run)?;
                    } else {
                        self.task(run)?;
                    }
                }
            }
        }
        while !self.scopes.is_empty() {
            self.close(run)?;
        }
        Ok(())
    }

    fn close(&mut self, run: &mut Run<'_>) -> Result<(), SubmitError> {
        if let Some(scope) = self.scopes.pop() {
            self.buffers[scope.buffers..].iter_mut().for_each(|buffer| buffer.1 = None);
            // Scopes of depth 3 and deeper share a ring: what stands behind a kept task there stays, although its own scope has ended.
            if let Some(outer) = self.scopes.get_mut(SHARED_DEPTH - 1..).and_then(<[Scope]>::last_mut) {
                outer.kept += scope.kept;
                outer.outputs += scope.outputs;
            }
            run.close_scope()?;
        }
        Ok(())
    }

    /// A random part of a random buffer that can be named.
    fn view(&mut self, how: Use) -> View {
        if how == Use::New {
            let shape = vec![1 + self.below(4) as u32, 1 + self.below(8) as u32];
            let places = (0..shape.iter().product::<u32>() as usize).collect();
            return View { how, buffer: usize::MAX, tensor: None, places, shape };
        }
        let named: Vec<usize> = (0..self.buffers.len()).filter(|&at| self.buffers[at].1.is_some()).collect();
        let buffer = named[self.below(named.len())];
        let mut tensor = self.buffers[buffer].1.expect("it can be named");
        for dimension in 0..2 {
            let length = tensor.shape()[dimension];
            let from = self.below(length as usize) as u32;
            let to = from + 1 + self.below((length - from) as usize) as u32;
            let step = 1 + self.below(2) as u32;
            self.seen.strided += usize::from(step > 1 && to - from > 1);
            tensor = tensor.slice(dimension, from, to, step).expect("it lies within");
        }
        if self.below(4) == 0 {
            tensor = tensor.transpose(0, 1).expect("it has two dimensions");
        }
        let places = elements(tensor.shape(), tensor.strides(), tensor.start());
        View { how, buffer, shape: tensor.shape().to_vec(), tensor: Some(tensor), places }
    }

    /// Up to four uses of which none writes what another touches, in the same member or in one of the others.
    fn uses(&mut self, others: &[View], may_allocate: bool) -> Vec<View> {
        const ALL: [Use; 5] = [Use::Input, Use::InOut, Use::Overwrite, Use::NoDependency, Use::New];
        let mut uses: Vec<View> = Vec::new();
        for _ in 0..1 + self.below(4) {
            let new = uses.iter().filter(|view| view.how == Use::New).count();
            let how = ALL[self.below(if may_allocate && new < MOST_NEW { 5 } else { 4 })];
            let view = self.view(how);
            let writes = |how| !matches!(how, Use::Input | Use::NoDependency);
            let meets = |other: &View| {
                other.buffer == view.buffer
                    && how != Use::New
                    && (writes(how) || writes(other.how))
                    && view.places.iter().any(|place| other.places.contains(place))
            };
            if !others.iter().chain(&uses).any(meets) {
                self.seen.uses[how as usize] += 1;
                uses.push(view);
            }
        }
        uses
    }

    fn task(&mut self, run: &mut Run<'_>) -> Result<(), SubmitError> {
        let (next_level, members) = match self.below(8) {
            0 | 1 => (true, 1),
            2 | 3 => (false, 2),
            _ => (false, 1),
        };
        let may_allocate = !self.scopes.is_empty();
        let mut uses: Vec<Vec<View>> = Vec::new();
        for _ in 0..members {
            let others: Vec<View> = uses.iter().flatten().cloned().collect();
            uses.push(self.uses(&others, may_allocate));
        }
        let salt = self.random;
        let fails = if self.below(25) == 0 { self.below(members) as u64 } else { u64::MAX };
        let directed = !next_level && self.below(3) == 0;
        let scalars: [Scalar; 2] = [salt.into(), fails.into()];
        let arguments: Vec<Vec<Argument<'_>>> =
            uses.iter().map(|own| own.iter().map(View::argument).collect()).collect();
        let own: Vec<Member<'_>> = arguments.iter().map(|own| Member::new(own).scalars(&scalars)).collect();
        let mut order = self.subs.to_vec();
        if directed && self.below(2) == 0 {
            order.reverse();
        }
        let task = if next_level { host::next_level(self.ids[0]) } else { host::sub(self.ids[0]) };
        let task: Task<'_> =
            if members > 1 { task.group(&own) } else { task.arguments(&arguments[0]).scalars(&scalars) };
        let placement = match (directed, members) {
            (false, _) => Placement::Any,
            (true, 1) => Placement::Core(order[0]),
            (true, _) => Placement::Cores(&order),
        };
        self.seen.groups += usize::from(members > 1);
        self.seen.failed_groups += usize::from(members > 1 && fails != u64::MAX);
        self.seen.directed += usize::from(directed);
        self.seen.next_level += usize::from(next_level);
        let submitted = run.submit(&task.placement(placement))?;
        let outputs: Vec<Tensor> = submitted.outputs.to_vec();
        let behind = self.scopes.iter().any(|scope| scope.kept > 0);
        if let Some(scope) = self.scopes.last_mut().filter(|_| behind || !outputs.is_empty()) {
            // It is kept, or stands behind one that is.
            scope.kept += 1;
            scope.outputs += outputs.len() as u32;
        }
        self.interpret(uses, &outputs, salt, fails);
        Ok(())
    }

    /// Runs the task here and now.
    fn interpret(&mut self, mut uses: Vec<Vec<View>>, outputs: &[Tensor], salt: u64, fails: u64) {
        let number = self.tasks;
        self.tasks += 1;
        let set = |view: &View| view.places.iter().copied().collect::<Places>();
        let inherits = |view: &View| match view.how {
            Use::Input | Use::InOut => self.lost.within(view.buffer, &set(view)),
            Use::Overwrite => self.lost.beyond(view.buffer, &set(view)),
            Use::NoDependency => self.lost.created(view.buffer),
            Use::New => None,
        };
        let inherited = uses.iter().flatten().any(|view| inherits(view).is_some());
        for view in uses.iter().flatten().filter(|view| view.how == Use::Overwrite) {
            self.lost.overwrite(view.buffer, &set(view));
        }
        let mut outputs = outputs.iter();
        for view in uses.iter_mut().flatten().filter(|view| view.how == Use::New) {
            view.buffer = self.buffers.len();
            self.buffers.push((vec![0; view.places.len()], outputs.next().copied()));
        }
        for (member, own) in uses.iter().enumerate() {
            if !inherited && fails != member as u64 {
                self.run_member(own, mixed(salt, member as u64));
            }
        }
        self.unrun += u64::from(inherited);
        self.seen.unrun += usize::from(inherited);
        self.failed += u64::from(!inherited && fails != u64::MAX);
        if inherited || fails != u64::MAX {
            for view in uses.iter().flatten().filter(|view| !matches!(view.how, Use::Input | Use::NoDependency)) {
                self.lost.lose(view.buffer, set(view), number, view.how == Use::New);
            }
        }
    }

    fn run_member(&mut self, own: &[View], mut state: u64) {
        for view in own.iter().filter(|view| view.how == Use::Input) {
            let values = &self.buffers[view.buffer].0;
            view.places.iter().for_each(|&place| state = mixed(state, values[place].into()));
        }
        for (at, view) in own.iter().enumerate() {
            if matches!(view.how, Use::Input | Use::NoDependency) {
                continue;
            }
            let values = &mut self.buffers[view.buffer].0;
            for (element, &place) in view.places.iter().enumerate() {
                let before = (view.how == Use::InOut).then_some(values[place]);
                values[place] = written(state, at, element, before);
            }
        }
    }
}

/// A host of three worker processes with the buffers of all programs.
struct Bench {
    host: HostRuntime,
    ids: Vec<CallableId>,
    subs: Vec<CoreId>,
    buffers: Vec<Buffer>,
}

impl Bench {
    fn new(builder: HostBuilder) -> Self {
        let builder = builder.next_level(1).subs(2);
        let (mut host, ids) = host(builder, vec![Callable::any("mix", mix)]);
        let buffers = (0..EXTERNAL).map(|_| host.buffer(4 * u64::from(SIDE * SIDE)).expect("a buffer")).collect();
        let subs = (0..2).map(|id| host.worker(CoreKind::Vector, id).expect("it is there")).collect();
        Bench { host, ids, subs, buffers }
    }

    fn check(&mut self, seed: u64, seen: &mut Seen) {
        let mut buffers = Vec::new();
        for (at, buffer) in self.buffers.iter().enumerate() {
            let values: Vec<u32> =
                (0..SIDE * SIDE).map(|place| mixed(mixed(seed, at as u64), place.into()) as u32).collect();
            self.host.write(buffer, &values).expect("no run is on");
            buffers.push((values, Some(buffer.tensor(&[SIDE, SIDE], DataType::U32).expect("a tensor"))));
        }
        let mut program = Program {
            random: mixed(seed, 1),
            ids: &self.ids,
            subs: &self.subs,
            buffers,
            lost: Lost::default(),
            scopes: Vec::new(),
            unrun: 0,
            failed: 0,
            tasks: 0,
            seen: *seen,
        };
        let (failed, report): (u64, Report) = match self.host.run(|run| program.submit(run)) {
            Ok(report) => (0, report),
            Err(error) => match &*error.error {
                RunError::KernelFailed { first, failed, .. } if first.code == INTENDED => (*failed, *error.report),
                _ => panic!("seed {seed}: {error}"),
            },
        };
        assert_eq!((failed, report.unrun), (program.failed, program.unrun), "seed {seed}");
        for (at, buffer) in self.buffers.iter().enumerate() {
            let left = self.host.read::<u32>(buffer).expect("no run is on");
            assert_eq!(left, program.buffers[at].0, "seed {seed}: buffer {at} differs");
        }
        *seen = program.seen;
    }
}

fn thousand_programs(builder: HostBuilder) {
    let mut bench = Bench::new(builder);
    let mut seen = Seen::default();
    for seed in 0..1000 {
        bench.check(seed, &mut seen);
    }
    bench.host.close().expect("an orderly end");
    let kinds = [seen.groups, seen.directed, seen.next_level, seen.strided, seen.scopes, seen.unrun];
    assert!(kinds.iter().chain(&seen.uses).all(|&times| times > 500) && seen.failed_groups > 50, "{seen:?}");
}

/// Claims HOST-071 together with the next test.
#[test]
fn a_thousand_programs_with_rings_of_the_default_sizes() {
    thousand_programs(HostRuntime::builder());
}

/// The same programs in rings that hardly hold them. What failed tasks should have written stays in the index until it is overwritten, however small the
/// rings are.
#[test]
fn a_thousand_programs_with_tiny_rings() {
    thousand_programs(
        HostRuntime::builder().engine(|engine| {
            engine.ring_task_window(16).ring_heap(16 << 10).ring_dep_pool(1024).index_entries(1 << 14)
        }),
    );
}
