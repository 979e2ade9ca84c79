//! Random programs that fit into rings of a given size.

use super::program::{Argument, Base, Condition, Kind, Layout, Program, Step, TaskStep, View, ViewStep};
use prewire::Comparison;
use prewire_platform_sim::Random;

/// How large programs and rings are, and whether kernels fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) tasks: usize,
    /// Slots of each ring: scopes are kept so small that they fit.
    pub(crate) window: usize,
    /// Whether some programs have kernels that fail. The others are the same either way.
    pub(crate) failing: bool,
}

/// The longest output, in elements.
const OUTPUT_ELEMENTS_MOST: usize = 48;
/// The most outputs of one task.
const OUTPUTS_MOST: usize = 3;
/// The deepest nesting.
const DEPTH_MOST: usize = 6;

impl Limits {
    /// Heap bytes of each ring in which every program of these limits fits: outputs are padded to 1024 bytes, and room is lost where a ring wraps.
    pub(crate) fn heap_bytes(&self) -> u64 {
        (self.window * OUTPUTS_MOST * 1024 * 2) as u64
    }
}

/// An open scope.
struct Scope {
    /// Its outputs: buffers by number and shape.
    outputs: Vec<(usize, Vec<u32>)>,
    /// How many tasks its ring had seen when its first owner of bytes came.
    first_owner: Option<usize>,
}

struct Generator {
    random: Random,
    limits: Limits,
    external: Vec<u32>,
    steps: Vec<Step>,
    scopes: Vec<Scope>,
    buffers: usize,
    tasks: usize,
    /// Tasks that each ring has seen.
    ring_tasks: [usize; 4],
    /// How many tasks in a thousand fail.
    failing: usize,
}

/// The program of a seed.
pub(crate) fn generate(seed: u64, limits: Limits) -> Program {
    let mut random = Random::new(seed);
    let external: Vec<u32> = (0..random.between(1, 3)).map(|_| random.between(16, 512) as u32).collect();
    let failing = if random.percent(40) { random.between(1, 30) } else { 0 };
    let failing = if limits.failing { failing } else { 0 };
    let mut generator = Generator {
        random,
        failing,
        limits,
        buffers: external.len(),
        external,
        steps: Vec::new(),
        scopes: vec![Scope { outputs: Vec::new(), first_owner: None }],
        tasks: 0,
        ring_tasks: [0; 4],
    };
    while generator.tasks < limits.tasks {
        generator.step();
    }
    while generator.scopes.len() > 1 {
        generator.close();
    }
    Program { seed, external: generator.external, steps: generator.steps }
}

impl Generator {
    fn ring(&self) -> usize {
        (self.scopes.len() - 1).min(3)
    }

    /// How many tasks the present ring keeps because a scope with bytes is open, at most.
    fn kept(&self) -> usize {
        let ring = self.ring();
        let of_ring = self.scopes.iter().enumerate().filter(|(depth, _)| (*depth).min(3) == ring);
        let oldest = of_ring.filter_map(|(_, scope)| scope.first_owner).min();
        oldest.map_or(0, |oldest| self.ring_tasks[ring] - oldest)
    }

    fn step(&mut self) {
        // Half of the window is left for tasks that the runtime puts in by itself.
        if self.kept() + 1 > self.limits.window / 2 {
            if self.scopes.len() > 1 {
                self.close();
            }
            return;
        }
        match self.random.below(100) {
            0..8 if self.scopes.len() <= DEPTH_MOST => {
                self.steps.push(Step::Open);
                self.scopes.push(Scope { outputs: Vec::new(), first_owner: None });
            }
            8..15 if self.scopes.len() > 1 => self.close(),
            15..18 => self.access(),
            18..22 if self.may_own() => self.allocate(),
            _ => self.task(),
        }
    }

    /// The outermost scope never closes, so what it keeps it keeps for ever: only programs with inner scopes own bytes.
    fn may_own(&self) -> bool {
        self.scopes.len() > 1
    }

    fn close(&mut self) {
        self.steps.push(Step::Close);
        self.scopes.pop();
    }

    fn owned(&mut self) {
        let seen = self.ring_tasks[self.ring()];
        let scope = self.scopes.last_mut().expect("a scope is open");
        scope.first_owner.get_or_insert(seen);
    }

    fn new_output(&mut self, shape: Vec<u32>) {
        let buffer = self.buffers;
        self.buffers += 1;
        self.scopes.last_mut().expect("a scope is open").outputs.push((buffer, shape));
    }

    fn count_task(&mut self) {
        self.ring_tasks[self.ring()] += 1;
        self.tasks += 1;
    }

    fn shape(&mut self, most: usize) -> Vec<u32> {
        let dimensions = self.random.between(1, 3);
        let mut left = most;
        (0..dimensions)
            .map(|_| {
                let length = self.random.between(1, left.min(12));
                left /= length;
                length as u32
            })
            .collect()
    }

    /// A view of external memory, or of an output that is still alive.
    fn view(&mut self) -> View {
        let alive: Vec<(usize, Vec<u32>)> =
            self.scopes.iter().flat_map(|scope| scope.outputs.iter().cloned()).collect();
        let (buffer, base, mut layout) = if !alive.is_empty() && self.random.percent(50) {
            let (buffer, shape) = alive[self.random.below(alive.len())].clone();
            (buffer, Base::Output, Layout::row_major(0, &shape))
        } else {
            let buffer = self.random.below(self.external.len());
            let length = self.external[buffer] as usize;
            let element = if self.random.percent(70) { 0 } else { self.random.below(length) };
            let shape = self.external_shape(length - element);
            let layout = Layout::row_major(element as u32, &shape);
            (buffer, Base::External { element: element as u32, shape }, layout)
        };
        let mut steps = Vec::new();
        for _ in 0..self.random.below(4) {
            let step = self.view_step(&layout);
            layout.apply(&step);
            steps.push(step);
        }
        // Large views are cut, so that kernels stay short.
        while layout.count() > 128 {
            let largest = (0..layout.shape.len()).max_by_key(|&dimension| layout.shape[dimension]).expect("it has one");
            let end = layout.shape[largest] / 2;
            let step = ViewStep::Slice { dimension: largest, start: 0, end, step: 1 };
            layout.apply(&step);
            steps.push(step);
        }
        View { buffer, base, steps, layout }
    }

    /// A shape of at most so many elements, mostly as many as fit.
    fn external_shape(&mut self, elements: usize) -> Vec<u32> {
        match self.random.below(3) {
            0 => vec![elements as u32],
            1 => {
                let columns = self.random.between(1, elements.min(32));
                vec![(elements / columns) as u32, columns as u32]
            }
            _ => {
                let columns = self.random.between(1, elements.min(8));
                let rows = self.random.between(1, (elements / columns).min(8));
                vec![(elements / columns / rows) as u32, rows as u32, columns as u32]
            }
        }
    }

    fn view_step(&mut self, layout: &Layout) -> ViewStep {
        let dimensions = layout.shape.len();
        let dimension = self.random.below(dimensions);
        match self.random.below(4) {
            0 => ViewStep::Transpose { first: dimension, second: self.random.below(dimensions) },
            1 => {
                let length = layout.shape[dimension] as usize;
                let start = self.random.below(length);
                let end = self.random.between(start + 1, length);
                let step = self.random.between(1, 3);
                ViewStep::Slice { dimension, start: start as u32, end: end as u32, step: step as u32 }
            }
            _ => {
                let lengths = layout.shape.clone();
                let (mut shape, mut offsets) = (Vec::new(), Vec::new());
                for length in lengths {
                    let offset = if self.random.percent(50) { 0 } else { self.random.below(length as usize) };
                    shape.push(self.random.between(1, length as usize - offset) as u32);
                    offsets.push(offset as u32);
                }
                ViewStep::Box { shape, offsets }
            }
        }
    }

    fn indices(&mut self, layout: &Layout) -> Vec<u32> {
        layout.shape.iter().map(|&length| self.random.below(length as usize) as u32).collect()
    }

    fn access(&mut self) {
        let view = self.view();
        let indices = self.indices(&view.layout);
        self.steps.push(match self.random.percent(50) {
            true => Step::Get { view, indices },
            false => Step::Set { view, indices, value: self.random.next() as u32 },
        });
    }

    fn allocate(&mut self) {
        self.owned();
        let outputs: Vec<(Vec<u32>, u32)> = (0..self.random.between(1, OUTPUTS_MOST))
            .map(|_| (self.shape(OUTPUT_ELEMENTS_MOST), self.random.next() as u32))
            .collect();
        for (shape, _) in &outputs {
            self.new_output(shape.clone());
        }
        self.steps.push(Step::Allocate { outputs });
        self.count_task();
    }

    fn task(&mut self) {
        let kind = match self.random.below(20) {
            0 => Kind::Dummy,
            1..7 => Kind::Cube,
            7..9 => Kind::Mix([3, 5, 6, 7][self.random.below(4)]),
            _ => Kind::Vector,
        };
        let predicate = (kind != Kind::Dummy && self.random.percent(6)).then(|| self.condition());
        let mut arguments = Vec::new();
        let mut outputs = Vec::new();
        for _ in 0..self.random.between(1, 5) {
            arguments.push(match self.random.below(100) {
                0..35 => Argument::Input(self.view()),
                35..60 => Argument::InOut(self.view()),
                // What a dummy overwrites is lost no longer, and yet it does not write it: where tasks fail, nobody knows what is there.
                60..80 if kind == Kind::Dummy && self.failing > 0 => Argument::InOut(self.view()),
                60..80 => Argument::OutputExisting(self.view()),
                80..84 => Argument::NoDependency(self.view()),
                _ if self.may_own() && outputs.len() < OUTPUTS_MOST => {
                    let shape = self.shape(OUTPUT_ELEMENTS_MOST);
                    // Nobody may see what was there before: a dummy and a task that may not run leave it as it was filled.
                    let filled = kind == Kind::Dummy || predicate.is_some() || self.random.percent(30);
                    let value = self.random.next() as u32;
                    outputs.push(shape.clone());
                    Argument::Output(shape, filled.then_some(value))
                }
                _ => Argument::Input(self.view()),
            });
        }
        if !outputs.is_empty() {
            self.owned();
        }
        for shape in outputs {
            self.new_output(shape);
        }
        // Several kernels share the work, so they must not meet the same element in two arguments.
        let apart = are_apart(&arguments);
        let kind = if matches!(kind, Kind::Mix(_)) && !apart { Kind::Vector } else { kind };
        let blocks = if kind != Kind::Dummy && apart { self.random.between(1, 3) as u32 } else { 1 };
        let dependencies = match self.tasks {
            0 => Vec::new(),
            tasks => (0..self.random.below(5).saturating_sub(2)).map(|_| self.random.below(tasks)).collect(),
        };
        let gang = blocks > 1 && self.random.percent(15);
        let salt = self.random.next();
        let (fails, deferred) = (None, false);
        let mut task = TaskStep { kind, arguments, salt, blocks, gang, dependencies, predicate, fails, deferred };
        if kind != Kind::Dummy && self.random.below(1000) < self.failing {
            task.fails = Some(self.random.below(task.kernels() as usize) as u32);
        } else if task.last_written().is_some() {
            task.deferred = kind != Kind::Dummy && self.random.percent(3);
        }
        self.steps.push(Step::Task(task));
        self.count_task();
    }

    fn condition(&mut self) -> Condition {
        const COMPARISONS: [Comparison; 6] = [
            Comparison::Equal,
            Comparison::NotEqual,
            Comparison::Greater,
            Comparison::Less,
            Comparison::GreaterOrEqual,
            Comparison::LessOrEqual,
        ];
        let view = self.view();
        let indices = self.indices(&view.layout);
        let comparison = COMPARISONS[self.random.below(COMPARISONS.len())];
        Condition { view, indices, comparison, target: i64::from(self.random.next() as u32) }
    }
}

/// Whether no two arguments share an element, so that blocks can share the work between them.
fn are_apart(arguments: &[Argument]) -> bool {
    let mut seen = std::collections::HashSet::new();
    arguments.iter().all(|argument| match argument {
        Argument::Input(view) | Argument::InOut(view) | Argument::OutputExisting(view) => {
            view.layout.places().into_iter().all(|place| seen.insert((view.buffer, place)))
        }
        Argument::NoDependency(_) | Argument::Output(..) => true,
    })
}
