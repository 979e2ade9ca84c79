//! Whether two arguments of a task write the same byte, on platforms where that is refused: which of two writes stays would be chance.

use crate::Orchestrator;
use prewire_runtime_core::error::Refusal;
use prewire_runtime_core::task::Argument;
use prewire_runtime_core::tensor::Tensor;

/// One written argument. Memory of the user is compared by address, whatever it was registered as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    /// The buffer, where that is the runtime's own.
    buffer: Option<u64>,
    start: u64,
    end: u64,
    argument: usize,
}

impl Write {
    fn of(argument: usize, tensor: &Tensor) -> Write {
        let buffer = tensor.buffer();
        let start = tensor.key_start();
        let end = start + tensor.layout().bytes();
        Write { buffer: (!buffer.is_external()).then_some(buffer.to_bits()), start, end, argument }
    }
}

/// The tensor of an argument that writes bytes which are there before.
fn written<'a>(argument: &Argument<'a>) -> Option<&'a Tensor> {
    match *argument {
        Argument::InOut(tensor) | Argument::OutputExisting(tensor) => (!tensor.is_empty()).then_some(tensor),
        Argument::Input(_) | Argument::NoDependency(_) | Argument::Output(_) => None,
    }
}

impl Orchestrator {
    /// Checks that no two of a task's, or of one member's, arguments write a common byte. Members are not compared with each other.
    pub(super) fn check_writes(&mut self, arguments: &[Argument<'_>]) -> Result<(), Refusal> {
        if self.chip.arguments.overlapping_writes {
            return Ok(());
        }
        let mut writes = arguments.iter().filter(|argument| written(argument).is_some());
        match (writes.next(), writes.next()) {
            (Some(_), Some(_)) => self.compare_writes(arguments),
            _ => Ok(()),
        }
    }

    /// Only neighbours in the order of their bytes can have some in common.
    #[cold]
    fn compare_writes(&mut self, arguments: &[Argument<'_>]) -> Result<(), Refusal> {
        let writes = &mut self.scratch.writes;
        writes.clear();
        let tensors = arguments.iter().enumerate().filter_map(|(at, argument)| Some((at, written(argument)?)));
        writes.extend(tensors.map(|(at, tensor)| Write::of(at, tensor)));
        writes.sort_unstable_by_key(|write| (write.buffer, write.start));
        for (at, one) in writes.iter().enumerate() {
            let near = writes[at + 1..].iter().take_while(|other| other.buffer == one.buffer && other.start < one.end);
            for other in near {
                let region = |write: &Write| written(&arguments[write.argument]).and_then(Tensor::region);
                if let (Some(mine), Some(others)) = (region(one), region(other))
                    && mine.intersects(&others)
                {
                    let (first, second) = if one.argument < other.argument { (one, other) } else { (other, one) };
                    return Err(Refusal::OverlappingWrites {
                        arguments: [first.argument, second.argument],
                        bytes: [first.start..first.end, second.start..second.end],
                    });
                }
            }
        }
        Ok(())
    }
}
