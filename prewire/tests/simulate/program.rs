//! What a random program is made of. Nothing here knows how the runtime works; views are worked out by index arithmetic of their own.

use prewire::Comparison;

/// A program: memory, and what is submitted in order.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) seed: u64,
    /// The lengths of the external buffers, in elements of u32; they come first in the numbering of buffers.
    pub(crate) external: Vec<u32>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Open,
    Close,
    Task(TaskStep),
    /// Memory that no task writes first, and what it is filled with.
    Allocate {
        outputs: Vec<(Vec<u32>, u32)>,
    },
    /// The orchestration reads an element.
    Get {
        view: View,
        indices: Vec<u32>,
    },
    /// The orchestration writes an element.
    Set {
        view: View,
        indices: Vec<u32>,
        value: u32,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct TaskStep {
    pub(crate) kind: Kind,
    pub(crate) arguments: Vec<Argument>,
    /// Goes into everything that the task writes.
    pub(crate) salt: u64,
    pub(crate) blocks: u32,
    /// All blocks start together, where the engine can do that.
    pub(crate) gang: bool,
    /// Earlier tasks by their numbers.
    pub(crate) dependencies: Vec<usize>,
    pub(crate) predicate: Option<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cube,
    Vector,
    Dummy,
}

#[derive(Clone, Debug)]
pub(crate) enum Argument {
    Input(View),
    InOut(View),
    OutputExisting(View),
    NoDependency(View),
    /// New memory of this shape, filled with a value if there is one.
    Output(Vec<u32>, Option<u32>),
}

/// Run only if the element compares so with the target.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) view: View,
    pub(crate) indices: Vec<u32>,
    pub(crate) comparison: Comparison,
    pub(crate) target: i64,
}

/// Part of a buffer.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// External buffers are numbered first, then outputs in the order in which they are allocated.
    pub(crate) buffer: usize,
    pub(crate) base: Base,
    pub(crate) steps: Vec<ViewStep>,
    /// Where it ends up.
    pub(crate) layout: Layout,
}

/// What a view starts from.
#[derive(Clone, Debug)]
pub(crate) enum Base {
    /// A row-major tensor from an element of an external buffer.
    External { element: u32, shape: Vec<u32> },
    /// The output as it was allocated.
    Output,
}

#[derive(Clone, Debug)]
pub(crate) enum ViewStep {
    Box { shape: Vec<u32>, offsets: Vec<u32> },
    Slice { dimension: usize, start: u32, end: u32, step: u32 },
    Transpose { first: usize, second: usize },
}

/// Start, shape and strides, in elements of the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) start: u32,
    pub(crate) shape: Vec<u32>,
    pub(crate) strides: Vec<u32>,
}

impl Layout {
    pub(crate) fn row_major(start: u32, shape: &[u32]) -> Self {
        let mut strides = vec![1; shape.len()];
        for dimension in (1..shape.len()).rev() {
            strides[dimension - 1] = strides[dimension] * shape[dimension].max(1);
        }
        Layout { start, shape: shape.to_vec(), strides }
    }

    pub(crate) fn apply(&mut self, step: &ViewStep) {
        match step {
            ViewStep::Box { shape, offsets } => {
                self.start += offsets.iter().zip(&self.strides).map(|(offset, stride)| offset * stride).sum::<u32>();
                self.shape.clone_from(shape);
            }
            ViewStep::Slice { dimension, start, end, step } => {
                self.start += start * self.strides[*dimension];
                self.shape[*dimension] = (end - start).div_ceil(*step);
                self.strides[*dimension] *= step;
            }
            ViewStep::Transpose { first, second } => {
                self.shape.swap(*first, *second);
                self.strides.swap(*first, *second);
            }
        }
    }

    /// How many elements there are.
    pub(crate) fn count(&self) -> usize {
        self.shape.iter().map(|&length| length as usize).product()
    }

    /// The place of an element in the buffer.
    pub(crate) fn place(&self, indices: &[u32]) -> usize {
        let steps: u32 = indices.iter().zip(&self.strides).map(|(index, stride)| index * stride).sum();
        (self.start + steps) as usize
    }

    /// The places of all elements, in row-major order of the view.
    pub(crate) fn places(&self) -> Vec<usize> {
        let mut places = Vec::with_capacity(self.count());
        each_index(&self.shape, |indices| places.push(self.place(indices)));
        places
    }
}

/// Calls `body` with all indices of a shape, the last one fastest.
pub(crate) fn each_index(shape: &[u32], mut body: impl FnMut(&[u32])) {
    if shape.contains(&0) {
        return;
    }
    let mut indices = vec![0; shape.len()];
    loop {
        body(&indices);
        let mut dimension = shape.len();
        loop {
            if dimension == 0 {
                return;
            }
            dimension -= 1;
            indices[dimension] += 1;
            if indices[dimension] < shape[dimension] {
                break;
            }
            indices[dimension] = 0;
        }
    }
}

/// What tasks compute: a number that depends on everything that went in.
pub(crate) fn mix(state: u64, value: u64) -> u64 {
    let word = (state ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word ^ word >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_left(17)
}

/// What a task that read `state` writes to an element of an argument.
pub(crate) fn written(state: u64, argument: usize, element: usize, before: Option<u32>) -> u32 {
    let word = mix(mix(state, argument as u64 + 1), element as u64);
    (mix(word, before.map_or(u64::MAX, u64::from)) >> 32) as u32
}
