//! From a task of C to one of the runtime, without an allocation.

use crate::convert;
use crate::error::Error;
use crate::pointer;
use crate::status::prewire_status;
use crate::task::{
    PREWIRE_ANY_CORE, PREWIRE_DEPENDENCY_WAIT_ONLY, PREWIRE_NO_KERNEL, PREWIRE_TASK_COMMUNICATES,
    PREWIRE_TASK_SYNC_START, prewire_argument, prewire_argument_kind, prewire_dependency, prewire_new_tensor,
    prewire_predicate, prewire_task, prewire_task_kind,
};
use crate::tensor::{PREWIRE_MAX_DIMENSIONS, prewire_tensor};
use prewire::{
    Argument, Comparison, CoreId, Dependency, KernelId, NewTensor, Placement, Predicate, Refusal, Run, Scalar, Task,
    TaskId, Tensor,
};
use std::mem::MaybeUninit;
use std::time::Duration;

/// Tensor arguments that a task may have.
const MAX_TENSORS: usize = 32;
/// Scalar arguments that a task may have.
const MAX_SCALARS: usize = 16;

/// An error of a call's arguments becomes the run's, as that of every refused call does.
#[cold]
pub(crate) fn refused(run: &mut Run<'_>, error: Error) -> Error {
    if error.status == prewire_status::InvalidArguments {
        let text = error.text.strip_prefix("invalid arguments (code 5): ").unwrap_or(&error.text).to_owned();
        return run.refuse(Refusal::Other { text }).into();
    }
    error
}

/// Submits a task and returns its id.
///
/// # Safety
/// `task` is NULL or points to a `prewire_task` whose pointers are NULL or point to as much as it says.
#[inline]
pub(crate) unsafe fn submit(
    run: &mut Run<'_>,
    dependencies: &mut Vec<Dependency>,
    task: *const prewire_task,
) -> Result<u64, Error> {
    // SAFETY: by contract.
    let task = match unsafe { pointer::sized(task, "task") } {
        Ok(task) => task,
        Err(error) => return Err(refused(run, error)),
    };
    // SAFETY: by contract.
    let lists = match unsafe { Lists::of(task) } {
        Ok(lists) => lists,
        Err(error) => return Err(refused(run, error)),
    };
    // Most tasks have few arguments, and a short list is faster to put together.
    if lists.arguments.len() <= 4 {
        // SAFETY: by contract, and there are no more arguments than room.
        return unsafe { submit_with::<4>(run, dependencies, task, &lists) };
    }
    // SAFETY: as above.
    unsafe { submit_many(run, dependencies, task, &lists) }
}

/// Submits a task of many arguments, whose room would lie in the way of the others.
///
/// # Safety
/// As for [`submit_with`].
#[inline(never)]
unsafe fn submit_many(
    run: &mut Run<'_>,
    dependencies: &mut Vec<Dependency>,
    task: &prewire_task,
    lists: &Lists<'_>,
) -> Result<u64, Error> {
    // SAFETY: by contract.
    unsafe { submit_with::<MAX_TENSORS>(run, dependencies, task, lists) }
}

/// What a task points to.
struct Lists<'a> {
    arguments: &'a [prewire_argument],
    scalars: &'a [Scalar],
    dependencies: &'a [prewire_dependency],
}

impl<'a> Lists<'a> {
    /// # Safety
    /// The task's pointers are NULL or point to as much as it says.
    #[inline]
    unsafe fn of(task: &'a prewire_task) -> Result<Self, Error> {
        if task.argument_count > MAX_TENSORS {
            return Err(too_many(task.argument_count, "tensor", MAX_TENSORS));
        }
        if task.scalar_count > MAX_SCALARS {
            return Err(too_many(task.scalar_count, "scalar", MAX_SCALARS));
        }
        Ok(Lists {
            // SAFETY: by contract.
            arguments: unsafe { pointer::slice(task.arguments, task.argument_count, "task.arguments") }?,
            // SAFETY: by contract; a scalar is the number in another dress.
            scalars: unsafe { pointer::slice(task.scalars.cast::<Scalar>(), task.scalar_count, "task.scalars") }?,
            // SAFETY: by contract.
            dependencies: unsafe { pointer::slice(task.dependencies, task.dependency_count, "task.dependencies") }?,
        })
    }
}

const _: () = assert!(size_of::<Scalar>() == 8 && align_of::<Scalar>() == 8);

#[cold]
fn too_many(count: usize, what: &str, limit: usize) -> Error {
    Error::argument(format_args!("{count} {what} arguments, a task may have {limit}"))
}

/// Submits a task of at most `N` arguments.
///
/// # Safety
/// The task's pointers are NULL or point to as much as it says, and it has at most `N` arguments.
#[inline(always)]
unsafe fn submit_with<const N: usize>(
    run: &mut Run<'_>,
    dependencies: &mut Vec<Dependency>,
    task: &prewire_task,
    lists: &Lists<'_>,
) -> Result<u64, Error> {
    let mut arguments = [const { MaybeUninit::<Argument<'_>>::uninit() }; N];
    let mut made = 0;
    for (place, argument) in arguments.iter_mut().zip(lists.arguments) {
        // SAFETY: by contract.
        match unsafe { argument_of(argument, made) } {
            Ok(argument) => place.write(argument),
            Err(error) => return Err(refused(run, error)),
        };
        made += 1;
    }
    // SAFETY: so many were written just now.
    let arguments = unsafe { std::slice::from_raw_parts(arguments.as_ptr().cast::<Argument<'_>>(), made) };
    dependencies.clear();
    if let Err(error) = name_dependencies(dependencies, lists.dependencies) {
        return Err(refused(run, error));
    }
    if task.kind == prewire_task_kind::Allocation as u32 {
        // SAFETY: by contract.
        return unsafe { allocate(run, task, lists, arguments) };
    }
    let first = task.kernels[0];
    let named = if task.kind == prewire_task_kind::Vector as u32 && first <= u32::from(u16::MAX) {
        Task::vector(KernelId(first as u16))
    } else {
        match kernels_of(task) {
            Ok(named) => named,
            Err(error) => return Err(refused(run, error)),
        }
    };
    let mut described = named.arguments(arguments).scalars(lists.scalars).dependencies(dependencies);
    let operand;
    if is_special(task) {
        described = match special(described, task) {
            Ok(task) => task,
            Err(error) => return Err(refused(run, error)),
        };
        if !task.predicate.is_null() {
            // SAFETY: by contract.
            operand = match unsafe { predicate_of(task.predicate) } {
                Ok(predicate) => predicate,
                Err(error) => return Err(refused(run, error)),
            };
            described = described.predicate(operand);
        }
    }
    let submitted = run.submit(&described)?;
    if !submitted.outputs.is_empty() {
        // SAFETY: by contract.
        unsafe { hand_out(lists.arguments, submitted.outputs) };
    }
    Ok(submitted.id.to_bits())
}

/// One argument.
///
/// # Safety
/// The argument's pointers are NULL or point to what they say.
#[inline(always)]
unsafe fn argument_of<'a>(argument: &prewire_argument, number: usize) -> Result<Argument<'a>, Error> {
    // The place is put together only where it is needed: the usual argument costs no text.
    let named = |error: Error| at_argument(&error, number);
    if argument.kind == prewire_argument_kind::Output as u32 {
        // SAFETY: by contract.
        let new = unsafe { pointer::reference(argument.allocation, "allocation") }.map_err(named)?;
        return new_tensor(new).map(Argument::Output).map_err(named);
    }
    // SAFETY: by contract.
    let tensor: &Tensor = unsafe { prewire_tensor::read(argument.tensor, "tensor") }.map_err(named)?;
    match argument.kind {
        0 => Ok(Argument::Input(tensor)),
        2 => Ok(Argument::InOut(tensor)),
        3 => Ok(Argument::OutputExisting(tensor)),
        4 => Ok(Argument::NoDependency(tensor)),
        kind => Err(named(convert::unknown("kind of argument", kind))),
    }
}

#[cold]
fn at_argument(error: &Error, number: usize) -> Error {
    let text = error.text.strip_prefix("invalid arguments (code 5): ").unwrap_or(&error.text);
    Error::argument(format_args!("argument {number}: {text}"))
}

#[inline]
fn new_tensor(new: &prewire_new_tensor) -> Result<NewTensor, Error> {
    let data_type = convert::data_type(new.data_type)?;
    let dimensions = new.dimensions as usize;
    if dimensions > PREWIRE_MAX_DIMENSIONS {
        return Err(Error::from(prewire::TensorError::TooManyDimensions { dimensions }));
    }
    let made = NewTensor::new(&new.shape[..dimensions], data_type);
    Ok(if new.is_filled == 0 { made } else { made.filled(Scalar(new.initial)) })
}

#[inline]
fn name_dependencies(named: &mut Vec<Dependency>, given: &[prewire_dependency]) -> Result<(), Error> {
    for dependency in given {
        let task = TaskId::from_bits(dependency.task);
        named.push(match dependency.flags {
            0 => Dependency::on(task),
            PREWIRE_DEPENDENCY_WAIT_ONLY => Dependency::wait_only(task),
            flags => return Err(convert::unknown("set of dependency flags", flags)),
        });
    }
    Ok(())
}

/// The task with its kernels and nothing else.
#[inline(never)]
fn kernels_of<'a>(task: &prewire_task) -> Result<Task<'a>, Error> {
    let [first, second, third] = task.kernels;
    Ok(match task.kind {
        1 => Task::cube(kernel(first)?),
        2 => Task::vector(kernel(first)?),
        3 => Task::cluster(optional_kernel(first)?, optional_kernel(second)?, optional_kernel(third)?),
        4 => Task::dummy(),
        kind => return Err(convert::unknown("kind of task", kind)),
    })
}

fn kernel(number: u32) -> Result<KernelId, Error> {
    match u16::try_from(number) {
        Ok(number) => Ok(KernelId(number)),
        Err(_) => Err(unknown_kernel(number)),
    }
}

fn optional_kernel(number: u32) -> Result<Option<KernelId>, Error> {
    if number == PREWIRE_NO_KERNEL { Ok(None) } else { kernel(number).map(Some) }
}

#[cold]
fn unknown_kernel(number: u32) -> Error {
    if number == PREWIRE_NO_KERNEL {
        return Error::argument("the task names no kernel; use a dummy task for dependencies only");
    }
    Error::argument(format_args!("kernel {number} is not registered"))
}

/// Whether anything is said beyond kernels, arguments and dependencies.
#[inline]
fn is_special(task: &prewire_task) -> bool {
    task.blocks != 1
        || task.flags != 0
        || task.core != PREWIRE_ANY_CORE
        || task.budget_ns != 0
        || !task.predicate.is_null()
}

fn special<'a>(mut described: Task<'a>, task: &prewire_task) -> Result<Task<'a>, Error> {
    const KNOWN: u32 = PREWIRE_TASK_SYNC_START | PREWIRE_TASK_COMMUNICATES;
    if task.flags & !KNOWN != 0 {
        return Err(convert::unknown("set of task flags", task.flags));
    }
    if task.blocks != 1 {
        described = described.blocks(task.blocks);
    }
    if task.flags & PREWIRE_TASK_SYNC_START != 0 {
        described = described.sync_start();
    }
    if task.flags & PREWIRE_TASK_COMMUNICATES != 0 {
        described = described.communicates();
    }
    if task.core != PREWIRE_ANY_CORE {
        let core = u16::try_from(task.core)
            .map_err(|_| Error::argument(format_args!("core {} does not exist; -1 is any core", task.core)))?;
        described = described.placement(Placement::Core(CoreId(core)));
    }
    if task.budget_ns != 0 {
        described = described.budget(Duration::from_nanos(task.budget_ns));
    }
    Ok(described)
}

/// # Safety
/// The predicate's pointers are NULL or point to as much as it says, and live for `'a`.
unsafe fn predicate_of<'a>(predicate: *const prewire_predicate) -> Result<Predicate<'a>, Error> {
    // SAFETY: by contract.
    let predicate = unsafe { pointer::reference(predicate, "task.predicate") }?;
    // SAFETY: by contract.
    let operand = unsafe { prewire_tensor::read(predicate.operand, "the operand of task.predicate") }?;
    // SAFETY: by contract.
    let indices = unsafe { pointer::slice(predicate.indices, predicate.index_count, "the indices of task.predicate") }?;
    let comparison = match predicate.comparison {
        1 => Comparison::Equal,
        2 => Comparison::NotEqual,
        3 => Comparison::Greater,
        4 => Comparison::Less,
        5 => Comparison::GreaterOrEqual,
        6 => Comparison::LessOrEqual,
        comparison => return Err(convert::unknown("comparison", comparison)),
    };
    Ok(Predicate { operand, indices, comparison, target: predicate.target })
}

/// Allocates tensors that no task writes first.
///
/// # Safety
/// The arguments' places for their tensors are NULL or may be written.
#[cold]
unsafe fn allocate(
    run: &mut Run<'_>,
    task: &prewire_task,
    lists: &Lists<'_>,
    arguments: &[Argument<'_>],
) -> Result<u64, Error> {
    let problem = if !lists.scalars.is_empty() {
        "a scalar"
    } else if !lists.dependencies.is_empty() {
        "an explicit dependency"
    } else if is_special(task) {
        "blocks, a core, a budget, flags or a predicate"
    } else if arguments.iter().any(|argument| argument.existing().is_some()) {
        "an argument that is no output"
    } else {
        ""
    };
    if !problem.is_empty() {
        return Err(run.refuse(Refusal::Allocation { problem }).into());
    }
    let mut outputs = [NewTensor::new(&[], prewire::DataType::U8); MAX_TENSORS];
    for (output, argument) in outputs.iter_mut().zip(arguments) {
        if let Argument::Output(new) = argument {
            *output = *new;
        }
    }
    let allocated = run.allocate(&outputs[..arguments.len()])?;
    // SAFETY: by contract.
    unsafe { hand_out(lists.arguments, allocated.outputs) };
    Ok(allocated.id.to_bits())
}

/// Writes the tensors of outputs where the arguments want them.
///
/// # Safety
/// The arguments' places are NULL or may be written.
unsafe fn hand_out(arguments: &[prewire_argument], outputs: &[Tensor]) {
    let places = arguments.iter().filter(|argument| argument.kind == prewire_argument_kind::Output as u32);
    for (argument, output) in places.zip(outputs) {
        if !argument.allocated.is_null() {
            // SAFETY: by contract; the place need not be aligned.
            unsafe { argument.allocated.write_unaligned(prewire_tensor::of(output)) };
        }
    }
}
