//! External memory in a recording: each piece is a buffer with an entry in the header.

use super::Recorder;
use crate::graph_format::{EntryRecord, Header};
use crate::{Refusal, SubmitError, Tensor};
use prewire_runtime_core::id::BufferId;

/// A piece of external memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct External {
    pub(super) number: u32,
    address: u64,
    bytes: u64,
    id: BufferId,
}

impl External {
    fn number_of_entry(&self, header: &Header) -> usize {
        header.entry.iter().position(|entry| entry.buffer == self.number).expect("external memory has an entry")
    }
}

impl Recorder {
    /// The tensor as this recorder's orchestrator knows it: external memory is registered here when it is first seen.
    pub(super) fn translate(&mut self, tensor: &Tensor) -> Result<Tensor, SubmitError> {
        if !tensor.buffer().is_external() {
            return Ok(*tensor);
        }
        let known = match self.piece_of(tensor) {
            Some(known) => known,
            None => {
                let name = format!("external {}", self.graph.header.entry.len());
                self.register(tensor, name)?
            }
        };
        // A piece may be seen from an offset within it; the element size divides the offset, as both addresses are aligned to it.
        let offset = (tensor.address() - known.address) / tensor.data_type().bytes();
        Ok(Tensor::external(known.address, known.bytes, known.id, offset + tensor.start(), *tensor.layout())?)
    }

    /// The registered memory that all of a tensor's memory lies in.
    fn piece_of(&self, tensor: &Tensor) -> Option<External> {
        let (_, piece) = self.external.range(..=tensor.address()).next_back()?;
        let end = tensor.address() + tensor.buffer_bytes();
        (end <= piece.address + piece.bytes).then_some(*piece)
    }

    pub(super) fn register(&mut self, tensor: &Tensor, name: String) -> Result<External, SubmitError> {
        let (address, bytes) = (tensor.address(), tensor.buffer_bytes());
        let before = self.external.range(..address + bytes).next_back();
        if let Some((_, other)) = before.filter(|(_, other)| other.address + other.bytes > address) {
            let known = &self.graph.header.entry[other.number_of_entry(&self.graph.header)].name;
            let text = format!("{name} shares bytes with {known}, which is not all of it; name the whole memory first");
            return Err(SubmitError::Refused(Refusal::Other { text }));
        }
        let id = self.unrun.orchestrator.register_external(address, bytes);
        let number = self.new_buffer(bytes, None);
        self.graph.header.entry.push(EntryRecord {
            name,
            buffer: number,
            data_type: tensor.data_type(),
            shape: tensor.shape().to_vec(),
        });
        let external = External { number, address, bytes, id };
        self.external.insert(address, external);
        Ok(external)
    }
}
