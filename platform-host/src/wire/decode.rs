//! From a blob to the arguments, in place. Nothing is believed: every count, tag and extent is checked before it is used.

use super::layout::{FRAME_CAPACITY, FrameHeader, MAGIC, MAX_WIRE_SCALARS, MAX_WIRE_TENSORS, VERSION, WireTensor};
use prewire_runtime_core::id::BufferId;
use prewire_runtime_core::tensor::{
    ArgumentTag, DataType, MAX_DIMENSIONS, Tensor, TensorArgument, TensorError, TensorLayout,
};
use thiserror::Error;
use zerocopy::FromBytes;

/// Why a blob is not one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum WireError {
    #[error("frame field {field}: {value} is not {expected}")]
    Field { field: &'static str, value: u64, expected: u64 },
    #[error("frame field {field}: {value} is more than the limit of {limit}")]
    Limit { field: &'static str, value: u64, limit: u64 },
    #[error("frame field {field}: the blob ends after {bytes} bytes")]
    Truncated { field: &'static str, bytes: usize },
    #[error("frame field tensor[{argument}].{field}: {value} is no such value")]
    Tensor { argument: usize, field: &'static str, value: u64 },
    #[error("frame field tensor[{argument}]: {error}")]
    Layout { argument: usize, error: TensorError },
    #[error("frame field tensor[{argument}].buffer: buffer {buffer} is not known to this worker")]
    UnknownBuffer { argument: usize, buffer: u64 },
}

/// The arguments of a task as they lie in a frame. Making one copies nothing.
#[derive(Clone, Copy, Debug)]
pub struct TaskArgsView<'a> {
    header: &'a FrameHeader,
    tensors: &'a [WireTensor],
    scalars: &'a [u64],
}

impl<'a> TaskArgsView<'a> {
    /// The blob at the beginning of `frame`, which is aligned to 8 bytes.
    ///
    /// # Errors
    /// If the bytes are no blob of this version; the error names the field.
    pub fn new(frame: &'a [u8]) -> Result<TaskArgsView<'a>, WireError> {
        let truncated = |field| WireError::Truncated { field, bytes: frame.len() };
        let (header, _) = FrameHeader::ref_from_prefix(frame).map_err(|_| truncated("header"))?;
        expect("magic", header.magic.into(), MAGIC.into())?;
        expect("version", header.version.into(), VERSION.into())?;
        limit("bytes", header.bytes.into(), FRAME_CAPACITY as u64)?;
        limit("tensors", header.tensors.into(), MAX_WIRE_TENSORS as u64)?;
        limit("scalars", header.scalars.into(), MAX_WIRE_SCALARS as u64)?;
        let (tensors, scalars) = (usize::from(header.tensors), usize::from(header.scalars));
        let bytes = size_of::<FrameHeader>() + tensors * size_of::<WireTensor>() + scalars * size_of::<u64>();
        expect("bytes", header.bytes.into(), bytes as u64)?;
        for (field, value) in ["reserved[0]", "reserved[1]", "reserved[2]", "reserved[3]"].iter().zip(header.reserved) {
            expect(field, value.into(), 0)?;
        }
        if header.block >= header.blocks {
            return Err(WireError::Limit {
                field: "block",
                value: header.block.into(),
                limit: header.blocks.saturating_sub(1).into(),
            });
        }
        let blob = frame.get(size_of::<FrameHeader>()..bytes).ok_or_else(|| truncated("bytes"))?;
        let (tensors, rest) =
            <[WireTensor]>::ref_from_prefix_with_elems(blob, tensors).map_err(|_| truncated("tensors"))?;
        let (scalars, _) = <[u64]>::ref_from_prefix_with_elems(rest, scalars).map_err(|_| truncated("scalars"))?;
        Ok(TaskArgsView { header, tensors, scalars })
    }

    /// What the blob says besides its arguments.
    pub fn header(&self) -> &'a FrameHeader {
        self.header
    }

    /// The scalars.
    pub fn scalars(&self) -> &'a [u64] {
        self.scalars
    }

    /// The tensors as they are on the wire.
    pub fn tensors(&self) -> &'a [WireTensor] {
        self.tensors
    }

    /// A tensor as a kernel of this process gets it, where `find` gives the address and the size of a shared buffer here.
    ///
    /// # Errors
    /// If the tensor means nothing, or reaches past its buffer.
    pub fn materialise(
        &self,
        argument: usize,
        find: impl FnOnce(u64) -> Option<(u64, u64)>,
    ) -> Result<TensorArgument, WireError> {
        let wire = &self.tensors[argument];
        let bad = |field, value: u64| WireError::Tensor { argument, field, value };
        let data_type = DataType::ALL.iter().find(|known| known.index() == wire.data_type);
        let data_type = *data_type.ok_or_else(|| bad("data_type", wire.data_type.into()))?;
        let tag = ArgumentTag::from_index(wire.tag).ok_or_else(|| bad("tag", wire.tag.into()))?;
        let dimensions = usize::from(wire.dimensions);
        if dimensions > MAX_DIMENSIONS {
            return Err(bad("dimensions", wire.dimensions.into()));
        }
        if let Some(&value) = wire.reserved.iter().find(|&&value| value != 0) {
            return Err(bad("reserved", value.into()));
        }
        let (address, bytes) = find(wire.buffer).ok_or(WireError::UnknownBuffer { argument, buffer: wire.buffer })?;
        if wire.offset > bytes {
            return Err(bad("offset", wire.offset));
        }
        let mut strides = [1i64; MAX_DIMENSIONS];
        for (stride, &given) in strides.iter_mut().zip(&wire.strides) {
            *stride = given.into();
        }
        let wrong = |error| WireError::Layout { argument, error };
        let layout =
            TensorLayout::strided(&wire.shape[..dimensions], &strides[..dimensions], data_type).map_err(wrong)?;
        let rest = bytes - wire.offset;
        let tensor = Tensor::external(address + wire.offset, rest, BufferId::external(wire.buffer), 0, layout);
        Ok(TensorArgument::new(&tensor.map_err(wrong)?, tag))
    }
}

fn expect(field: &'static str, value: u64, expected: u64) -> Result<(), WireError> {
    if value == expected { Ok(()) } else { Err(WireError::Field { field, value, expected }) }
}

fn limit(field: &'static str, value: u64, limit: u64) -> Result<(), WireError> {
    if value <= limit { Ok(()) } else { Err(WireError::Limit { field, value, limit }) }
}
