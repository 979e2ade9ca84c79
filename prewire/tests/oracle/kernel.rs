//! What every task of a program runs, and the thread that writes what is written behind the ends of kernels.

use super::program::{each_index, mix, written};
use prewire::{ArgumentTag, Condition, KernelContext, KernelError, KernelFailure};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// How a kernel is to behave, as its task's scalars say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// The task's number.
    pub(crate) number: usize,
    /// The parts of a cluster, if the task has several.
    pub(crate) parts: u8,
    /// Whether the kernels wait for one another between reading and writing.
    pub(crate) meets: bool,
    /// The kernel that fails, by its place among those of all blocks and parts.
    pub(crate) fails: Option<u32>,
    /// The counter behind which the task completes, if it is to.
    pub(crate) counter: Option<u64>,
}

/// The code of the kernels that fail on purpose.
const INTENDED: i32 = 4711;

impl How {
    pub(crate) fn scalars(&self, salt: u64) -> [u64; 5] {
        let flags = u64::from(self.meets) << 8 | u64::from(self.parts);
        let fails = self.fails.map_or(u64::MAX, u64::from);
        [salt, self.number as u64, flags, fails, self.counter.unwrap_or(0)]
    }

    fn of(context: &KernelContext<'_>) -> Result<Self, KernelError> {
        let (flags, counter) = (context.scalar_bits(2)?, context.scalar_bits(4)?);
        Ok(How {
            number: context.scalar_bits(1)? as usize,
            parts: flags as u8,
            meets: flags >> 8 != 0,
            fails: u32::try_from(context.scalar_bits(3)?).ok(),
            counter: (counter != 0).then_some(counter),
        })
    }

    /// Whether a kernel failed because its task says so.
    pub(crate) fn is_intended(failure: &KernelFailure) -> bool {
        failure.code == INTENDED
    }
}

/// Reads all inputs, then writes every other argument in turn; of several kernels each does its share of the elements. What is to be written behind the
/// kernel's end goes to `late`, or is written at once where nobody writes late, so that the counter is there when the kernel ends.
pub(crate) fn kernel(
    context: &KernelContext<'_>,
    ran: &Mutex<BTreeSet<usize>>,
    late: Option<&Mutex<Sender<LateWrite>>>,
) -> Result<(), KernelError> {
    let how = How::of(context)?;
    ran.lock().expect("no kernel panics").insert(how.number);
    let parts = how.parts.count_ones().max(1) as usize;
    let part = if how.parts == 0 { 0 } else { (how.parts & ((1 << context.part()) - 1)).count_ones() as usize };
    let (own, all) = (context.block_index() as usize * parts + part, context.block_count() as usize * parts);
    if how.fails == Some(own as u32) {
        return Err(KernelError::new(INTENDED, format!("kernel {own} of task {} fails", how.number)));
    }
    let mut state = context.scalar_bits(0)?;
    for (number, tensor) in context.tensors().iter().enumerate() {
        if tensor.tag() == ArgumentTag::Input {
            let input = context.input::<u32>(number)?;
            each_index(tensor.shape(), |indices| state = mix(state, u64::from(input.get(&wide(indices)))));
        }
    }
    if how.meets {
        meet(context, how, part, state)?;
    }
    let writes = |tag| !matches!(tag, ArgumentTag::Input | ArgumentTag::NoDependency);
    let last = context.tensors().iter().rposition(|tensor| writes(tensor.tag()));
    for (number, tensor) in context.tensors().iter().enumerate().filter(|(_, tensor)| writes(tensor.tag())) {
        let keeps = tensor.tag() == ArgumentTag::InOut;
        let count: u32 = tensor.shape().iter().product();
        let mut output = context.output::<u32>(number)?;
        let mut element = 0;
        each_index(tensor.shape(), |indices| {
            if element % all == own {
                let wide = wide(indices);
                let value = written(state, number, element, keeps.then(|| output.get(&wide)));
                match how.counter {
                    Some(counter) if last == Some(number) && element + 1 == count as usize => {
                        let steps = indices.iter().zip(tensor.strides());
                        let offset: u64 = steps.map(|(&index, &stride)| u64::from(index) * u64::from(stride)).sum();
                        context.complete_when(Condition { counter, expected: 1 });
                        let write = LateWrite { address: tensor.first_byte() + 4 * offset, value, counter };
                        match late.map(|late| late.lock().expect("no kernel panics")) {
                            Some(late) => late.send(write).expect("the thread waits for the last sender"),
                            None => write.perform(),
                        }
                    }
                    _ => output.set(&wide, value),
                }
            }
            element += 1;
        });
    }
    Ok(())
}

/// Waits for every sibling; the parts of an only block have told one another what they read before.
fn meet(context: &KernelContext<'_>, how: How, part: usize, state: u64) -> Result<(), KernelError> {
    let parts = (0..3).filter(|part| how.parts >> part & 1 != 0);
    if context.block_count() == 1 && how.parts != 0 {
        for other in parts.filter(|&other| other != context.part()) {
            if part == 0 {
                context.send(other, state)?;
            } else if other == how.parts.trailing_zeros() as usize {
                let heard = context.receive(other)?;
                if heard != state {
                    return Err(KernelError::new(1, format!("a sibling read {heard:#x} and not {state:#x}")));
                }
            }
        }
    }
    context.barrier()
}

fn wide(indices: &[u32]) -> Vec<usize> {
    indices.iter().map(|&index| index as usize).collect()
}

/// An element that is written when the kernel that should write it has ended, and the counter that says that it was.
#[derive(Debug)]
pub(crate) struct LateWrite {
    address: u64,
    value: u32,
    counter: u64,
}

impl LateWrite {
    fn perform(&self) {
        // SAFETY: the element is the waiting task's to write until its counter says that it was, and nobody else does.
        unsafe { (self.address as *mut u32).write(self.value) };
        // SAFETY: the program's counters live as long as its run, and each is touched as an atomic only.
        let counter = unsafe { AtomicU32::from_ptr(self.counter as *mut u32) };
        counter.store(1, Ordering::Release);
    }
}

/// The thread that writes late, as an engine beside the cores does.
#[derive(Debug)]
pub(crate) struct Late {
    orders: Sender<LateWrite>,
    _thread: JoinHandle<()>,
}

impl Late {
    /// It ends with the last sender of orders.
    pub(crate) fn start() -> Self {
        let (orders, received) = channel();
        Late { orders, _thread: std::thread::spawn(move || Self::write_all(&received)) }
    }

    pub(crate) fn orders(&self) -> Mutex<Sender<LateWrite>> {
        Mutex::new(self.orders.clone())
    }

    fn write_all(received: &Receiver<LateWrite>) {
        for write in received {
            for _ in 0..write.value % 8 {
                std::thread::yield_now();
            }
            write.perform();
        }
    }
}
