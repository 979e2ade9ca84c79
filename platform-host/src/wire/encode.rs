//! From a dispatch to a blob.

use super::layout::{FRAME_CAPACITY, FrameHeader, MAGIC, VERSION, WireTensor};
use prewire_runtime_core::tensor::{MAX_DIMENSIONS, TensorArgument};
use thiserror::Error;
use zerocopy::IntoBytes;

/// Finds the shared buffer that an address of this process lies in.
pub trait Locate {
    /// The buffer, and the offset of the address in it.
    fn locate(&self, address: u64) -> Option<(u64, u64)>;
}

/// What a blob says besides its arguments.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Call {
    pub task: u64,
    pub run: u32,
    pub callable: u32,
    pub block: u32,
    pub blocks: u32,
    pub slot: u32,
    pub part: u8,
    pub parts: u8,
    pub meeting: u32,
}

/// Why arguments were not encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum BlobTooLarge {
    #[error("{tensors} tensors and {scalars} scalars take {bytes} bytes, a frame holds {FRAME_CAPACITY}")]
    Frame { tensors: usize, scalars: usize, bytes: usize },
    #[error("tensor {argument} at address {address:#x} lies in no shared buffer, so no worker can reach it")]
    Unreachable { argument: usize, address: u64 },
}

/// Writes the blob of a call into `frame` and returns its length.
///
/// # Errors
/// If the arguments do not fit, or a tensor is in no shared buffer.
pub fn encode(
    frame: &mut [u8],
    call: &Call,
    tensors: &[TensorArgument],
    scalars: &[u64],
    buffers: &impl Locate,
) -> Result<usize, BlobTooLarge> {
    let head = size_of::<FrameHeader>();
    let body = size_of::<WireTensor>() * tensors.len();
    let bytes = head + body + size_of_val(scalars);
    if bytes > frame.len().min(FRAME_CAPACITY) {
        return Err(BlobTooLarge::Frame { tensors: tensors.len(), scalars: scalars.len(), bytes });
    }
    let header = FrameHeader {
        magic: MAGIC,
        version: VERSION,
        part: call.part,
        parts: call.parts,
        bytes: bytes as u32,
        tensors: tensors.len() as u16,
        scalars: scalars.len() as u16,
        task: call.task,
        run: call.run,
        callable: call.callable,
        block: call.block,
        blocks: call.blocks,
        slot: call.slot,
        meeting: call.meeting,
        reserved: [0; 4],
    };
    frame[..head].copy_from_slice(header.as_bytes());
    let places = frame[head..head + body].chunks_exact_mut(size_of::<WireTensor>());
    for (argument, (tensor, place)) in tensors.iter().zip(places).enumerate() {
        let address = tensor.first_byte();
        // A view without elements may lie behind the last byte of its buffer; where it begins says nothing.
        let within = if tensor.layout().is_empty() { tensor.address() } else { address };
        let (buffer, offset) = buffers.locate(within).ok_or(BlobTooLarge::Unreachable { argument, address: within })?;
        place.copy_from_slice(wire_tensor(tensor, buffer, offset).as_bytes());
    }
    frame[head + body..bytes].copy_from_slice(scalars.as_bytes());
    Ok(bytes)
}

fn wire_tensor(tensor: &TensorArgument, buffer: u64, offset: u64) -> WireTensor {
    let (mut shape, mut strides) = ([1; MAX_DIMENSIONS], [1; MAX_DIMENSIONS]);
    shape[..tensor.dimensions()].copy_from_slice(tensor.shape());
    strides[..tensor.dimensions()].copy_from_slice(tensor.strides());
    WireTensor {
        buffer,
        offset,
        shape,
        strides,
        data_type: tensor.data_type().index(),
        dimensions: tensor.dimensions() as u8,
        tag: tensor.tag() as u8,
        reserved: [0; 5],
    }
}
