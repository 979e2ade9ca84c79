//! How long a kernel takes, as far as its arguments tell.
//!
//! Its bytes pass between its core and memory at the core's share of the bandwidth. A cube kernel multiplies: three matrices of m·k, k·n and m·n elements
//! stand for m·k·n multiply-adds, which is the root of the product of their sizes; the two largest inputs and the largest result are taken. A vector kernel
//! does one operation for each element of each argument. The longer of the two is the time, as both go on at once.

use prewire_runtime_core::chip::{CoreKind, Rates};
use prewire_runtime_core::platform::DispatchPayload;
use prewire_runtime_core::tensor::{ArgumentTag, TensorArgument};

/// One argument of a block, as the model sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// What the task does with it.
    pub tag: ArgumentTag,
    /// Its elements, of which a block of several has its share.
    pub elements: f64,
    /// The bytes of each.
    pub element_bytes: f64,
}

/// The shortest time of any kernel.
const LEAST_NS: u64 = 1;

/// The time of one block on a core of this kind.
pub fn model_ns(rates: &Rates, kind: CoreKind, shapes: impl Iterator<Item = Shape>) -> u64 {
    let (mut bytes, mut elements) = (0.0, 0.0);
    // The largest inputs, largest first, and the largest result.
    let (mut inputs, mut result) = ([0.0f64; 2], 0.0f64);
    for shape in shapes {
        let passes = if shape.tag == ArgumentTag::InOut { 2.0 } else { 1.0 };
        bytes += passes * shape.elements * shape.element_bytes;
        elements += shape.elements;
        if shape.tag.writes() {
            result = result.max(shape.elements);
        } else if shape.elements > inputs[0] {
            inputs = [shape.elements, inputs[0]];
        } else {
            inputs[1] = inputs[1].max(shape.elements);
        }
    }
    let computing = match kind {
        CoreKind::Cube => (inputs[0] * inputs[1] * result).sqrt() / rates.cube_multiply_adds_per_ns,
        CoreKind::Vector => elements / rates.vector_operations_per_ns,
    };
    (computing.max(bytes / rates.memory_bytes_per_ns).ceil() as u64).max(LEAST_NS)
}

/// The time of a dispatch by its arguments. The blocks of a task, and the parts of a block, share them evenly.
///
/// # Safety
/// The payload's arguments are valid.
pub(super) unsafe fn of_payload(rates: &Rates, kind: CoreKind, payload: &DispatchPayload) -> u64 {
    let tensors: &[TensorArgument] = match payload.tensor_count {
        0 => &[],
        // SAFETY: by contract so many arguments lie there.
        count => unsafe { std::slice::from_raw_parts(payload.tensors, usize::from(count)) },
    };
    let sharers = f64::from(payload.blocks.max(1)) * f64::from(payload.parts.count_ones().max(1));
    let shapes = tensors.iter().map(|tensor| Shape {
        tag: tensor.tag(),
        elements: tensor.shape().iter().map(|&length| f64::from(length)).product::<f64>() / sharers,
        element_bytes: tensor.data_type().bytes() as f64,
    });
    model_ns(rates, kind, shapes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates =
        Rates { cube_multiply_adds_per_ns: 1000.0, vector_operations_per_ns: 10.0, memory_bytes_per_ns: 4.0 };

    fn shape(tag: ArgumentTag, elements: u32) -> Shape {
        Shape { tag, elements: f64::from(elements), element_bytes: 2.0 }
    }

    #[test]
    fn the_longer_of_moving_and_computing_counts() {
        use ArgumentTag::{InOut, Input, Output};
        let time = |kind, shapes: &[Shape]| model_ns(&RATES, kind, shapes.iter().copied());
        // 100 x 80 by 80 x 60: 480 000 multiply-adds in 480 ns, and 2 bytes of 8000 + 4800 + 6000 elements in 9400 ns.
        let product = [shape(Input, 8000), shape(Input, 4800), shape(Output, 6000)];
        assert_eq!(time(CoreKind::Cube, &product), 9400);
        let fast_memory = Rates { memory_bytes_per_ns: 1000.0, ..RATES };
        assert_eq!(model_ns(&fast_memory, CoreKind::Cube, product.into_iter()), 480);
        // A small input beside the two large ones changes the bytes only, wherever it stands.
        let with_bias = [shape(Input, 8), product[0], product[1], product[2]];
        assert_eq!(time(CoreKind::Cube, &with_bias), 9404);
        // What is read and written passes twice; a vector core does one operation for each element.
        assert_eq!(time(CoreKind::Vector, &[shape(InOut, 100)]), 100);
        assert_eq!(model_ns(&fast_memory, CoreKind::Vector, [shape(InOut, 100)].into_iter()), 10);
        assert_eq!(time(CoreKind::Vector, &[]), LEAST_NS);
    }
}
