//! Random programs over overlapping views, compared byte by byte with a list of everything that was submitted.

use super::{Access, Hazard, Hazards, Index, IndexOptions, List, look_up, look_up_one_by_one};
use prewire_runtime_core::id::{BufferId, SlotIndex};
use prewire_runtime_core::tensor::{DataType, Tensor, TensorLayout};
use proptest::prelude::*;
use std::collections::BTreeSet;

const SLOTS: usize = 48;
const BYTES: usize = 1024;

/// A set of bytes of one of the two buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bytes {
    buffer: BufferId,
    set: [u128; BYTES / 128],
}

impl Bytes {
    fn of(tensor: &Tensor) -> Bytes {
        let mut set = [0; BYTES / 128];
        let base = if tensor.buffer().is_external() { BASE } else { tensor.address() };
        let mut elements = vec![tensor.first_byte() - base];
        for (&length, &stride) in tensor.shape().iter().zip(tensor.strides()) {
            let step = u64::from(stride) * tensor.data_type().bytes();
            elements =
                elements.iter().flat_map(|&first| (0..u64::from(length)).map(move |at| first + at * step)).collect();
        }
        for first in elements {
            for byte in first..first + tensor.data_type().bytes() {
                set[byte as usize / 128] |= 1 << (byte % 128);
            }
        }
        Bytes { buffer: tensor.buffer(), set }
    }

    fn meets(&self, other: &Bytes) -> bool {
        self.buffer == other.buffer && self.set.iter().zip(&other.set).any(|(a, b)| a & b != 0)
    }

    fn covers(&self, other: &Bytes) -> bool {
        self.buffer == other.buffer && self.set.iter().zip(&other.set).all(|(a, b)| a & b == *b)
    }

    fn without(&mut self, other: &Bytes) {
        if self.buffer == other.buffer {
            self.set.iter_mut().zip(&other.set).for_each(|(a, b)| *a &= !b);
        }
    }

    fn is_empty(&self) -> bool {
        self.set.iter().all(|&word| word == 0)
    }
}

const BASE: u64 = 0x4_0000;

/// How a tensor is cut from one of the buffers; numbers are reduced to what is possible.
#[derive(Clone, Debug)]
enum Cut {
    Tile(u32, u32),
    WideTile(u32, u32),
    Rows(u32, u32),
    Columns(u32, u32),
    Whole,
    Flat(u32, u32),
    Box([u32; 4]),
    Steps([u32; 4]),
    Transposed([u32; 4]),
    Deep([u32; 4]),
}

fn cut() -> impl Strategy<Value = (bool, Cut)> {
    let four = || proptest::array::uniform4(0u32..1 << 16);
    let cut = prop_oneof![
        6 => (0u32..4, 0u32..4).prop_map(|(row, column)| Cut::Tile(row, column)),
        2 => (0u32..2, 0u32..2).prop_map(|(row, column)| Cut::WideTile(row, column)),
        2 => (0u32..16, 1u32..5).prop_map(|(row, count)| Cut::Rows(row, count)),
        2 => (0u32..16, 1u32..5).prop_map(|(column, count)| Cut::Columns(column, count)),
        1 => Just(Cut::Whole),
        2 => (0u32..1024, 0u32..300).prop_map(|(first, count)| Cut::Flat(first, count)),
        3 => four().prop_map(Cut::Box),
        2 => four().prop_map(Cut::Steps),
        2 => four().prop_map(Cut::Transposed),
        1 => four().prop_map(Cut::Deep),
    ];
    (any::<bool>(), cut)
}

fn range(first: u32, count: u32, bound: u32) -> (u32, u32) {
    let first = first % bound;
    (first, first + 1 + count % (bound - first))
}

/// The tensor that a cut stands for: 16 x 16 elements of f32, or the same bytes seen otherwise.
fn tensor((external, cut): &(bool, Cut)) -> Tensor {
    let over = |shape: &[u32], data_type, skip: u64| {
        let layout = TensorLayout::row_major(shape, data_type).unwrap();
        if *external {
            let bytes = BYTES as u64 - skip;
            Tensor::external(BASE + skip, bytes, BufferId::external(1), 0, layout).unwrap()
        } else {
            Tensor::external(0x8_0000, BYTES as u64, BufferId::runtime(7), skip / data_type.bytes(), layout).unwrap()
        }
    };
    let matrix = over(&[16, 16], DataType::F32, 0);
    let boxed = |[row, rows, column, columns]: [u32; 4]| {
        let ((top, bottom), (left, right)) = (range(row, rows, 16), range(column, columns, 16));
        matrix.view(&[bottom - top, right - left], &[top, left]).unwrap()
    };
    match *cut {
        Cut::Tile(row, column) => matrix.view(&[4, 4], &[4 * row, 4 * column]).unwrap(),
        Cut::WideTile(row, column) => matrix.view(&[8, 8], &[8 * row, 8 * column]).unwrap(),
        Cut::Rows(row, count) => boxed([row, count - 1, 0, 15]),
        Cut::Columns(column, count) => boxed([0, 15, column, count - 1]),
        Cut::Whole => matrix,
        Cut::Flat(first, count) => {
            let count = count.min(1024 - first);
            over(&[count], DataType::U8, u64::from(first))
        }
        Cut::Box(numbers) => boxed(numbers),
        Cut::Steps([first, count, step, dimension]) => {
            let (start, end) = range(first, count, 16);
            matrix.slice(dimension as usize % 2, start, end, 1 + step % 5).unwrap()
        }
        Cut::Transposed(numbers) => boxed(numbers).transpose(0, 1).unwrap(),
        Cut::Deep([a, b, c, d]) => {
            let deep = over(&[4, 4, 4, 8], DataType::U16, 0);
            let cuts = [range(a, a >> 8, 4), range(b, b >> 8, 4), range(c, c >> 8, 4), range(d, d >> 8, 8)];
            let shape = cuts.map(|(start, end)| end - start);
            deep.view(&shape, &cuts.map(|(start, _)| start)).unwrap().permute(&[2, 0, 3, 1]).unwrap()
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Submit(Vec<((bool, Cut), Access)>),
    Abandon((bool, Cut), Access),
    Complete(usize),
    Retire(usize, bool),
}

fn op() -> impl Strategy<Value = Op> {
    let access = || prop_oneof![Just(Access::Read), Just(Access::Overwrite), Just(Access::Update)];
    prop_oneof![
        4 => proptest::collection::vec((cut(), access()), 0..4).prop_map(Op::Submit),
        1 => (cut(), access()).prop_map(|(cut, access)| Op::Abandon(cut, access)),
        3 => any::<usize>().prop_map(Op::Complete),
        2 => (any::<usize>(), proptest::bool::weighted(0.2)).prop_map(|(which, fails)| Op::Retire(which, fails)),
    ]
}

#[derive(Debug)]
struct Argument {
    bytes: Bytes,
    access: Access,
    /// A later writer covers what this argument wrote.
    overwritten: bool,
}

#[derive(Debug)]
struct Task {
    slot: u32,
    arguments: Vec<Argument>,
    /// Indices of tasks that it waits for, and those among them that it takes data from.
    waits: BTreeSet<usize>,
    data: BTreeSet<usize>,
    complete: bool,
    retired: bool,
}

#[derive(Debug)]
struct Model {
    tasks: Vec<Task>,
    /// Bytes that failed tasks wrote and nobody has overwritten, with the cause.
    marks: Vec<(Bytes, u64)>,
    free_slots: Vec<u32>,
}

impl Model {
    fn new() -> Model {
        Model { tasks: Vec::new(), marks: Vec::new(), free_slots: (0..SLOTS as u32).rev().collect() }
    }

    fn live_in(&self, slot: u32) -> usize {
        self.tasks
            .iter()
            .position(|task| task.slot == slot && !task.retired)
            .expect("the index named a slot that is free")
    }

    /// Everything that can be reached from `from` along `edges`.
    fn reach(&self, from: &BTreeSet<usize>, edges: impl Fn(&Task) -> &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut reached = from.clone();
        let mut pending: Vec<usize> = from.iter().copied().collect();
        while let Some(task) = pending.pop() {
            pending.extend(edges(&self.tasks[task]).iter().copied().filter(|&next| reached.insert(next)));
        }
        reached
    }

    /// Checks what the index found for one task's arguments against every task submitted before.
    fn check(&self, arguments: &[Argument], list: &List) -> Result<(BTreeSet<usize>, BTreeSet<usize>), TestCaseError> {
        let mut waits = BTreeSet::new();
        let mut data = BTreeSet::new();
        for found in &list.found {
            let producer = self.live_in(found.producer.0);
            waits.insert(producer);
            let own = &arguments[found.argument];
            let meeting = self.tasks[producer].arguments.iter().filter(|other| own.bytes.meets(&other.bytes));
            let mut writers = meeting.clone().filter(|other| other.access != Access::Read);
            match found.hazard {
                Hazard::WriteAfterRead => {
                    prop_assert!(own.access != Access::Read && !found.data, "{found:?}");
                    prop_assert!(meeting.clone().any(|other| other.access == Access::Read), "no such read: {found:?}");
                }
                Hazard::WriteAfterWrite => {
                    prop_assert_eq!(own.access, Access::Overwrite);
                    prop_assert!(writers.any(|other| own.bytes.covers(&other.bytes) != found.data), "{found:?}");
                }
                Hazard::ReadAfterWrite => {
                    prop_assert!(own.access != Access::Overwrite && found.data, "{found:?}");
                    prop_assert!(writers.next().is_some(), "no such write: {found:?}");
                }
            }
            if found.data {
                data.insert(producer);
            }
        }

        let ordered = self.reach(&waits, |task| &task.waits);
        let inherited = self.reach(&data, |task| &task.data);
        for own in arguments {
            // Back through all accesses: bytes whose last writer is still to be met, and all bytes.
            let mut unwritten = own.bytes.clone();
            for (place, task) in self.tasks.iter().enumerate().rev() {
                for other in &task.arguments {
                    let conflict = own.access != Access::Read || other.access != Access::Read;
                    if !task.complete && conflict && own.bytes.meets(&other.bytes) {
                        prop_assert!(ordered.contains(&place), "no order after task {place}, argument {own:?}");
                    }
                    let partial = own.access != Access::Overwrite || !own.bytes.covers(&other.bytes);
                    if !task.complete && other.access != Access::Read && partial && unwritten.meets(&other.bytes) {
                        prop_assert!(inherited.contains(&place), "no data from task {place}, argument {own:?}");
                    }
                }
                for other in task.arguments.iter().filter(|other| other.access != Access::Read) {
                    unwritten.without(&other.bytes);
                }
            }
        }

        let mut expected = BTreeSet::new();
        for (place, own) in arguments.iter().enumerate() {
            for (bytes, cause) in &self.marks {
                if own.bytes.meets(bytes) && !(own.access == Access::Overwrite && own.bytes.covers(bytes)) {
                    expected.insert((*cause, place));
                }
            }
        }
        prop_assert_eq!(expected, list.failed.iter().copied().collect::<BTreeSet<_>>());
        Ok((waits, data))
    }

    fn enter(&mut self, slot: u32, arguments: Vec<Argument>, waits: BTreeSet<usize>, data: BTreeSet<usize>) {
        for own in arguments.iter().filter(|own| own.access != Access::Read) {
            for other in self.tasks.iter_mut().flat_map(|task| &mut task.arguments) {
                other.overwritten |= own.bytes.covers(&other.bytes);
            }
            self.marks.retain(|(bytes, _)| !own.bytes.covers(bytes));
        }
        let mut task = Task { slot, arguments, waits, data, complete: false, retired: false };
        // The arguments of one task are entered in their order.
        for place in 1..task.arguments.len() {
            let (earlier, later) = task.arguments.split_at_mut(place);
            if later[0].access != Access::Read {
                earlier.iter_mut().for_each(|own| own.overwritten |= later[0].bytes.covers(&own.bytes));
            }
        }
        self.tasks.push(task);
    }

    fn pick(&self, which: usize, fits: impl Fn(&Task) -> bool) -> Option<usize> {
        let fitting: Vec<usize> = (0..self.tasks.len()).filter(|&task| fits(&self.tasks[task])).collect();
        (!fitting.is_empty()).then(|| fitting[which % fitting.len()])
    }

    fn complete(&mut self, which: usize) {
        let ready = |task: &Task| !task.complete && task.waits.iter().all(|&before| self.tasks[before].complete);
        if let Some(task) = self.pick(which, ready) {
            self.tasks[task].complete = true;
        }
    }

    fn retire(&mut self, index: &mut Index, which: usize, fails: bool) {
        let Some(place) = self.pick(which, |task| task.complete && !task.retired) else { return };
        let cause = 1000 + place as u64;
        index.retire(SlotIndex(self.tasks[place].slot), fails.then_some(cause));
        let task = &mut self.tasks[place];
        task.retired = true;
        self.free_slots.push(task.slot);
        if fails {
            let writes = task.arguments.iter().filter(|own| own.access != Access::Read && !own.overwritten);
            self.marks.extend(writes.map(|own| (own.bytes.clone(), cause)));
        }
    }
}

fn run(program: &[Op]) -> Result<(), TestCaseError> {
    let mut index = Index::new(&IndexOptions {
        entries: 4 * SLOTS + 512,
        touches: 4 * SLOTS,
        slots: SLOTS,
        arguments: 4,
        hazards: Hazards::All,
    });
    let mut model = Model::new();
    for (number, op) in program.iter().enumerate() {
        // Every third task is one that does not go the straight way.
        let at_once = number % 3 != 0;
        match op {
            Op::Submit(cuts) => {
                let Some(slot) = model.free_slots.pop() else { continue };
                let (arguments, list) = look(&mut index, cuts, at_once);
                let (waits, data) = model.check(&arguments, &list)?;
                let before = index.in_use();
                let needs = index.needs();
                index.commit(SlotIndex(slot));
                prop_assert!(index.in_use().entries <= before.entries + needs.entries);
                prop_assert!(index.in_use().touches <= before.touches + needs.touches);
                model.enter(slot, arguments, waits, data);
            }
            Op::Abandon(cut, access) => {
                let (arguments, list) = look(&mut index, &[(cut.clone(), *access)], at_once);
                model.check(&arguments, &list)?;
            }
            Op::Complete(which) => model.complete(*which),
            Op::Retire(which, fails) => model.retire(&mut index, *which, *fails),
        }
    }
    // Everything goes with the tasks, and the marks with their buffers.
    while model.tasks.iter().any(|task| !task.retired) {
        model.complete(0);
        model.retire(&mut index, 0, false);
    }
    index.begin();
    prop_assert_eq!(index.in_use().touches, 0);
    prop_assert!(index.in_use().entries <= model.marks.len());
    prop_assert_eq!(index.in_use().entries == 0, model.marks.is_empty());
    index.drop_buffer(BufferId::external(1));
    index.drop_buffer(BufferId::runtime(7));
    prop_assert_eq!(index.in_use().entries, 0);
    Ok(())
}

fn look(index: &mut Index, cuts: &[((bool, Cut), Access)], at_once: bool) -> (Vec<Argument>, List) {
    let tensors: Vec<(Tensor, Access)> = cuts.iter().map(|(cut, access)| (tensor(cut), *access)).collect();
    let arguments = tensors.iter().map(|(tensor, access)| {
        let bytes = Bytes::of(tensor);
        Argument { overwritten: bytes.is_empty(), bytes, access: *access }
    });
    let named: Vec<(&Tensor, Access)> = tensors.iter().map(|(tensor, access)| (tensor, *access)).collect();
    (arguments.collect(), if at_once { look_up(index, &named) } else { look_up_one_by_one(index, &named) })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// Whatever is submitted, abandoned, completed, retired and failed, in whatever order: tasks that touch common bytes and do not
    /// both read are ordered, nobody else is; data edges and failure marks are where bytes come from; and the index
    /// is empty when the last task is.
    #[test]
    fn any_program_is_ordered_by_its_bytes(program in proptest::collection::vec(op(), 1..120)) {
        run(&program)?;
    }
}
