//! What every task of a random program computes, and which elements a view has.

use prewire::{ArgumentTag, KernelContext, KernelError};

/// The code of the tasks that fail on purpose.
pub(crate) const INTENDED: i32 = 4711;

pub(crate) fn mixed(state: u64, value: u64) -> u64 {
    let mut value = (state ^ value).wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// What a task writes to an element, from what it has read and, where it also reads the element, from what was there.
pub(crate) fn written(state: u64, argument: usize, element: usize, before: Option<u32>) -> u32 {
    let place = (argument as u64) << 32 | element as u64;
    (mixed(mixed(state, place), before.map_or(u64::MAX, u64::from)) >> 32) as u32
}

/// The elements of a view in row-major order, as distances from the buffer's first.
pub(crate) fn elements(shape: &[u32], strides: &[u32], start: u64) -> Vec<usize> {
    let mut all = vec![start as usize];
    for (&length, &stride) in shape.iter().zip(strides) {
        all = all.iter().flat_map(|&at| (0..length).map(move |index| at + (index * stride) as usize)).collect();
    }
    all
}

/// The callable of every task: it reads its inputs and writes everything else. It does not care whether it is a member of a group.
pub(crate) fn mix(task: &KernelContext<'_>) -> Result<(), KernelError> {
    if task.scalar::<u64>(1)? == u64::from(task.block_index()) {
        return Err(KernelError::new(INTENDED, "it was asked to fail"));
    }
    let tensors = task.tensors();
    let places = |at: usize| elements(tensors[at].shape(), tensors[at].strides(), 0);
    let cell = |at: usize, place: usize| (tensors[at].first_byte() + 4 * place as u64) as *mut u32;
    let mut state = mixed(task.scalar_bits(0)?, task.block_index().into());
    for (at, _) in tensors.iter().enumerate().filter(|(_, tensor)| tensor.tag() == ArgumentTag::Input) {
        // SAFETY: an element of an input.
        places(at).into_iter().for_each(|place| state = mixed(state, unsafe { *cell(at, place) }.into()));
    }
    for (at, tensor) in tensors.iter().enumerate() {
        let keeps = match tensor.tag() {
            ArgumentTag::Input | ArgumentTag::NoDependency => continue,
            tag => tag == ArgumentTag::InOut,
        };
        for (element, place) in places(at).into_iter().enumerate() {
            let cell = cell(at, place);
            // SAFETY: an element of an argument that is read and written.
            let before = keeps.then(|| unsafe { *cell });
            // SAFETY: as above.
            unsafe { *cell = written(state, at, element, before) };
        }
    }
    Ok(())
}
