//! Memory against a model in which every allocation has a flag that says whether it was released, whatever the order of the releases.

use crate::rig::{KERNEL, Rig, small};
use prewire_orchestrator::OrchestratorConfig;
use prewire_runtime_core::id::TaskId;
use prewire_runtime_core::memory::DeviceMemory;
use prewire_runtime_core::task::{Argument, NewTensor, Task};
use prewire_runtime_core::tensor::DataType;
use proptest::prelude::*;
use std::collections::VecDeque;

const HEAP: u64 = 8192;
const UNIT: u64 = 512;

/// An allocation as the model has it.
#[derive(Clone, Copy, Debug)]
struct Slab {
    task: TaskId,
    start: u64,
    bytes: u64,
    released: bool,
}

/// Where `bytes` go: behind the newest slab, or at the beginning; an empty heap starts over. Slabs lie in the order of their age.
fn place(slabs: &VecDeque<Slab>, bytes: u64) -> Option<u64> {
    let (Some(oldest), Some(newest)) = (slabs.front(), slabs.back()) else { return Some(0) };
    let end = newest.start + newest.bytes;
    if oldest.start < end {
        if bytes <= HEAP - end { Some(end) } else { (bytes <= oldest.start).then_some(0) }
    } else {
        (bytes <= oldest.start - end).then_some(end)
    }
}

/// How many of the slabs must be released, from the oldest on, until there is room for `bytes`. 0 if there is already.
fn missing(slabs: &VecDeque<Slab>, bytes: u64) -> usize {
    let mut left: VecDeque<Slab> = slabs.iter().copied().skip_while(|slab| slab.released).collect();
    let mut missing = 0;
    while place(&left, bytes).is_none() {
        left.pop_front();
        missing += 1;
        while left.front().is_some_and(|slab| slab.released) {
            left.pop_front();
        }
    }
    missing
}

struct Case {
    rig: Rig,
    slabs: VecDeque<Slab>,
    base: u64,
}

impl Case {
    fn new() -> Self {
        let mut rig = Rig::new(OrchestratorConfig { heap_bytes: [HEAP; 4], ..small() });
        rig.open();
        let whole = rig.orchestrator.allocate(&[NewTensor::new(&[HEAP as u32], DataType::U8)], &mut rig.retirer);
        let base = whole.expect("the heap is empty").outputs[0].first_byte();
        rig.close();
        Case { rig, slabs: VecDeque::new(), base }
    }

    /// The bytes of a slab are those of its task's number.
    fn pattern(slab: &Slab) -> Vec<u8> {
        vec![slab.task.sequence() as u8; slab.bytes as usize]
    }

    fn check_bytes(&self) {
        for slab in self.slabs.iter().filter(|slab| !slab.released) {
            let mut bytes = vec![0; slab.bytes as usize];
            // SAFETY: the test's own memory, used by one thread.
            unsafe { self.rig.memory.read(self.base + slab.start, &mut bytes) };
            assert_eq!(bytes, Case::pattern(slab), "the bytes of {slab:?} have changed");
        }
    }

    fn release(&mut self, choice: usize) {
        let held: Vec<usize> = (0..self.slabs.len()).filter(|&at| !self.slabs[at].released).collect();
        if let Some(&at) = held.get(choice % held.len().max(1)) {
            self.rig.retirer.complete(self.slabs[at].task);
            self.slabs[at].released = true;
        }
    }

    /// Allocates, with no wait where the model has room, and else with a wait that ends when the model has: the oldest slabs are released in it, one in each
    /// round.
    fn allocate(&mut self, bytes: u64) {
        let missing = missing(&self.slabs, bytes);
        let oldest: Vec<usize> = (0..self.slabs.len()).filter(|&at| !self.slabs[at].released).take(missing).collect();
        let mut left: VecDeque<TaskId> = oldest.iter().map(|&at| self.slabs[at].task).collect();
        let rounds = self.rig.retirer.rounds;
        self.rig.retirer.each_round = Some(Box::new(move |_| left.pop_front().into_iter().collect()));
        self.rig.open();
        let output = [Argument::Output(NewTensor::new(&[bytes as u32], DataType::U8))];
        let task = Task::vector(KERNEL).arguments(&output);
        let (task, outputs) = self.rig.try_submit(&task).expect("there is room, or there will be");
        self.rig.gate(task);
        self.rig.close();
        assert_eq!(self.rig.retirer.rounds - rounds, missing as u64, "{bytes} bytes between {:?}", self.slabs);
        oldest.iter().for_each(|&at| self.slabs[at].released = true);
        let slab = Slab { task, start: outputs[0].first_byte() - self.base, bytes, released: false };
        let end = slab.start + bytes;
        assert!(end <= HEAP);
        let overlaps = |other: &&Slab| !other.released && slab.start < other.start + other.bytes && other.start < end;
        assert_eq!(self.slabs.iter().find(overlaps).map(|other| other.task), None, "{slab:?} overlaps another");
        // SAFETY: as above.
        unsafe { self.rig.memory.write(outputs[0].first_byte(), &Case::pattern(&slab)) };
        self.slabs.push_back(slab);
        while self.slabs.front().is_some_and(|slab| slab.released) {
            self.slabs.pop_front();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// The part of HOST-057 that needs no worker: whatever the order in which tasks end, memory comes back in the order in which it was taken, nothing
    /// waits that has room, nothing is given out twice.
    #[test]
    fn any_order_of_release(steps in proptest::collection::vec((any::<bool>(), 1u64..=12, 0usize..64), 1..40)) {
        let mut case = Case::new();
        for (allocate, units, choice) in steps {
            if allocate {
                case.allocate(units * UNIT);
            } else {
                case.release(choice);
            }
            case.check_bytes();
        }
        while case.slabs.iter().any(|slab| !slab.released) {
            case.release(7);
        }
        case.allocate(HEAP);
    }
}
