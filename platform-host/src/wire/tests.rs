//! The wire form against lists of arguments, and against bytes that are no blob.

use super::*;
use prewire_runtime_core::id::BufferId;
use prewire_runtime_core::tensor::{ArgumentTag, DataType, Tensor, TensorArgument, TensorLayout};
use proptest::prelude::*;

/// Buffers of this size at multiples of it, from number 1 on.
const BUFFER_BYTES: u64 = 1 << 40;

struct Buffers;

impl Locate for Buffers {
    fn locate(&self, address: u64) -> Option<(u64, u64)> {
        (address >= BUFFER_BYTES).then_some((address / BUFFER_BYTES, address % BUFFER_BYTES))
    }
}

fn find(buffer: u64) -> Option<(u64, u64)> {
    (1..8).contains(&buffer).then(|| (buffer * BUFFER_BYTES, BUFFER_BYTES))
}

/// A frame as the mailbox has it: aligned.
#[repr(C, align(64))]
struct Frame([u8; FRAME_CAPACITY]);

fn frame() -> Box<Frame> {
    Box::new(Frame([0xA5; FRAME_CAPACITY]))
}

const CALL: Call = Call { task: 9, run: 2, callable: 77, block: 1, blocks: 3, slot: 5, part: 2, parts: 2, meeting: 4 };

fn tensor() -> impl Strategy<Value = TensorArgument> {
    let dimensions = proptest::collection::vec((0u32..6, 1i64..50), 0..=5);
    (1u64..8, 0u64..1000, dimensions, 0usize..DataType::ALL.len(), 0u8..5).prop_map(
        |(buffer, start, dimensions, data_type, tag)| {
            let shape: Vec<u32> = dimensions.iter().map(|&(length, _)| length).collect();
            let strides: Vec<i64> = dimensions.iter().map(|&(_, stride)| stride).collect();
            let layout = TensorLayout::strided(&shape, &strides, DataType::ALL[data_type]).expect("it is small");
            let tensor =
                Tensor::external(buffer * BUFFER_BYTES, BUFFER_BYTES, BufferId::external(buffer), start, layout);
            let tag = ArgumentTag::from_index(tag).expect("a tag");
            TensorArgument::new(&tensor.expect("it is within its buffer"), tag)
        },
    )
}

fn same(sent: &TensorArgument, received: &TensorArgument) -> bool {
    let first = |tensor: &TensorArgument| if tensor.layout().is_empty() { 0 } else { tensor.first_byte() };
    first(sent) == first(received)
        && (sent.shape(), sent.strides()) == (received.shape(), received.strides())
        && (sent.data_type(), sent.tag()) == (received.data_type(), received.tag())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 128 }))]

    /// Claims HOST-021 together with the two tests below and the fuzz target `host_frame`.
    #[test]
    fn argument_lists_survive(
        tensors in proptest::collection::vec(tensor(), 0..=256),
        scalars in proptest::collection::vec(any::<u64>(), 0..=128),
    ) {
        let mut frame = frame();
        let bytes = encode(&mut frame.0, &CALL, &tensors, &scalars, &Buffers).expect("it fits");
        let view = TaskArgsView::new(&frame.0).expect("what was encoded decodes");
        prop_assert_eq!(view.header().bytes as usize, bytes);
        let header = view.header();
        prop_assert_eq!((header.task, header.run, header.callable, header.block), (9, 2, 77, 1));
        prop_assert_eq!((header.blocks, header.slot, header.part, header.parts, header.meeting), (3, 5, 2, 2, 4));
        prop_assert_eq!(view.scalars(), &scalars[..]);
        prop_assert_eq!(view.tensors().len(), tensors.len());
        for (argument, sent) in tensors.iter().enumerate() {
            let received = view.materialise(argument, find).expect("what was encoded decodes");
            prop_assert!(same(sent, &received), "{:?} became {:?}", sent, received);
        }
    }

    #[test]
    fn random_bytes_are_refused_or_read_within(bytes in proptest::collection::vec(any::<u8>(), 0..400), honest in any::<bool>()) {
        let mut frame = frame();
        frame.0[..bytes.len()].copy_from_slice(&bytes);
        if honest {
            // A header that is right, and a body of anything.
            let tensors = (bytes.len().saturating_sub(64) / 64) as u16;
            let total = (64 + 64 * usize::from(tensors)) as u32;
            frame.0[..4].copy_from_slice(&MAGIC.to_le_bytes());
            frame.0[4..6].copy_from_slice(&VERSION.to_le_bytes());
            frame.0[8..12].copy_from_slice(&total.to_le_bytes());
            frame.0[12..14].copy_from_slice(&tensors.to_le_bytes());
            frame.0[14..16].fill(0);
            frame.0[32..36].copy_from_slice(&0u32.to_le_bytes());
            frame.0[36..40].copy_from_slice(&1u32.to_le_bytes());
            frame.0[48..64].fill(0);
        }
        if let Ok(view) = TaskArgsView::new(&frame.0) {
            for argument in 0..view.tensors().len() {
                if let Ok(tensor) = view.materialise(argument, find) {
                    let (address, bytes) = find(view.tensors()[argument].buffer).expect("it was found");
                    let end = tensor.first_byte() + tensor.layout().bytes();
                    prop_assert!(tensor.first_byte() >= address && end <= address + bytes);
                }
            }
        }
    }
}

fn sample() -> (Box<Frame>, usize) {
    let layout = TensorLayout::row_major(&[4, 5], DataType::F32).expect("it is small");
    let tensor = Tensor::external(BUFFER_BYTES, BUFFER_BYTES, BufferId::external(1), 3, layout).expect("it is within");
    let tensors = [TensorArgument::new(&tensor, ArgumentTag::InOut); 2];
    let mut frame = frame();
    let bytes = encode(&mut frame.0, &CALL, &tensors, &[1, 2, 3], &Buffers).expect("it fits");
    (frame, bytes)
}

#[test]
fn every_truncation_and_trailing_bytes_are_refused_by_name() {
    let (frame, bytes) = sample();
    for length in 0..bytes {
        let error = TaskArgsView::new(&frame.0[..length]).expect_err("a part is no blob").to_string();
        assert!(error.contains("frame field header") || error.contains("frame field bytes"), "{error}");
    }
    assert!(TaskArgsView::new(&frame.0[..bytes]).is_ok());
    let (mut longer, bytes) = sample();
    longer.0[8..12].copy_from_slice(&(bytes as u32 + 8).to_le_bytes());
    let error = TaskArgsView::new(&longer.0).expect_err("bytes that belong to nothing");
    assert_eq!(error, WireError::Field { field: "bytes", value: bytes as u64 + 8, expected: bytes as u64 });
}

#[test]
fn counts_and_values_that_mean_nothing_are_refused_by_name() {
    let cases: [(usize, &[u8], &str); 12] = [
        (0, b"NOPE", "magic"),
        (4, &[2, 0], "version"),
        (8, &u32::MAX.to_le_bytes(), "bytes"),
        (12, &(-1i16).to_le_bytes(), "tensors"),
        (12, &257u16.to_le_bytes(), "tensors"),
        (14, &129u16.to_le_bytes(), "scalars"),
        (32, &3u32.to_le_bytes(), "block"),
        (48, &[1], "reserved[0]"),
        (64 + 56, &[200], "data_type"),
        (64 + 57, &[6], "dimensions"),
        (64 + 58, &[5], "tag"),
        (64, &9u64.to_le_bytes(), "buffer"),
    ];
    for (at, bytes, field) in cases {
        let (mut frame, _) = sample();
        frame.0[at..at + bytes.len()].copy_from_slice(bytes);
        let error = match TaskArgsView::new(&frame.0) {
            Err(error) => error,
            Ok(view) => view.materialise(0, find).expect_err("a value that means nothing"),
        };
        assert!(error.to_string().contains(field), "{field}: {error}");
    }
    let past = |at: usize, bytes: &[u8]| {
        let (mut frame, _) = sample();
        frame.0[at..at + bytes.len()].copy_from_slice(bytes);
        let error = TaskArgsView::new(&frame.0).and_then(|view| view.materialise(0, find));
        error.expect_err("it reaches past its buffer").to_string()
    };
    assert!(past(64 + 8, &(BUFFER_BYTES + 1).to_le_bytes()).contains("offset"));
    assert!(past(64 + 8, &(BUFFER_BYTES - 4).to_le_bytes()).contains("tensor[0]"));
    assert!(
        past(64 + 8, &2u64.to_le_bytes()).contains("tensor[0]"),
        "an offset that is no multiple of the element size"
    );
    assert!(past(64 + 36, &0u32.to_le_bytes()).contains("stride"), "a stride of 0");
}

#[test]
fn what_does_not_fit_a_frame_is_refused_with_its_size() {
    let mut small = [0u8; 64];
    let error = encode(&mut small, &CALL, &[], &[1], &Buffers).expect_err("one scalar too many");
    assert_eq!(error, BlobTooLarge::Frame { tensors: 0, scalars: 1, bytes: 72 });
    let layout = TensorLayout::row_major(&[1], DataType::U8).expect("it is small");
    let tensor = Tensor::external(64, 64, BufferId::external(0), 0, layout).expect("it is within");
    let tensors = [TensorArgument::new(&tensor, ArgumentTag::Input)];
    let error = encode(&mut frame().0, &CALL, &tensors, &[], &Buffers).expect_err("nobody shares this memory");
    assert_eq!(error, BlobTooLarge::Unreachable { argument: 0, address: 64 });
}
