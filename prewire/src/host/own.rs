//! Memory that is not shared by all workers: a worker's own, and what workers have a copy of because they were forked.

use super::builder::HostBuilder;
use super::control;
use super::error::HostError;
use super::runtime::HostRuntime;
use crate::runtime::Buffer;
use prewire_orchestrator::{Place, Terms};
use prewire_platform_host::crew::Origin;
use prewire_platform_host::own::{Inherited, Unshared, address_in, number_of};
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::tensor::{DataType, Tensor, TensorError};

/// Memory of one worker's own, like that of a device: only tasks directed at that worker can use it, and it goes with the worker's process.
#[derive(Debug)]
pub struct DeviceBuffer {
    buffer: Buffer,
    worker: CoreId,
}

impl DeviceBuffer {
    /// The buffer as a row-major tensor.
    ///
    /// # Errors
    /// If the shape does not fit the buffer or has more than five dimensions.
    pub fn tensor(&self, shape: &[u32], data_type: DataType) -> Result<Tensor, TensorError> {
        self.buffer.tensor(shape, data_type)
    }

    /// Part of the buffer, from `offset_bytes`, as a row-major tensor.
    ///
    /// # Errors
    /// If the part does not fit the buffer, the offset is not a multiple of the element size, or there are more than five dimensions.
    pub fn tensor_at(&self, offset_bytes: u64, shape: &[u32], data_type: DataType) -> Result<Tensor, TensorError> {
        self.buffer.tensor_at(offset_bytes, shape, data_type)
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.buffer.bytes()
    }

    /// Where it lies in its worker's address space. The same number may be another buffer's in another worker's, or in this program's own.
    pub fn address(&self) -> u64 {
        number_of(self.buffer.address())
    }

    /// The worker whose memory it is, as tasks directed at it name it.
    pub fn worker(&self) -> CoreId {
        self.worker
    }
}

/// Ordinary memory of this program that was declared before the start. Forked workers read it as it was then; nobody writes it.
#[derive(Debug)]
pub struct InheritedBuffer(Buffer);

impl InheritedBuffer {
    /// The memory as a row-major tensor.
    ///
    /// # Errors
    /// If the shape does not fit the memory or has more than five dimensions.
    pub fn tensor(&self, shape: &[u32], data_type: DataType) -> Result<Tensor, TensorError> {
        self.0.tensor(shape, data_type)
    }

    /// Part of the memory, from `offset_bytes`, as a row-major tensor.
    ///
    /// # Errors
    /// If the part does not fit the memory, the offset is not a multiple of the element size, or there are more than five dimensions.
    pub fn tensor_at(&self, offset_bytes: u64, shape: &[u32], data_type: DataType) -> Result<Tensor, TensorError> {
        self.0.tensor_at(offset_bytes, shape, data_type)
    }
}

/// What a declaration of ordinary memory is called by, before and after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InheritedId(Inherited);

impl HostBuilder {
    /// Declares ordinary memory of this program as an input of tasks. Workers that are forked have it as of the start, without a copy being made; what is
    /// written to it later they do not see. Threads see it as it is.
    ///
    /// # Safety
    /// The `bytes` at `memory` are initialised and may be read until the workers have been started; where workers are threads, as long as there is the runtime, and
    /// nobody writes them while a task that names them runs.
    pub unsafe fn inherit(&mut self, memory: *const u8, bytes: usize) -> InheritedId {
        let one = Inherited { buffer: Unshared::fresh_id(), address: memory as u64, bytes: bytes as u64 };
        self.inherited.push(one);
        InheritedId(one)
    }
}

impl HostRuntime {
    /// Memory of a worker's own, zeroed. It is there until the buffer is dropped and no run uses it, or the worker ends; a replacement does not have it.
    ///
    /// # Errors
    /// If there is no such worker, it is a thread, it cannot have the memory, or does not answer in time.
    pub fn device_buffer(&mut self, kind: CoreKind, id: u32, bytes: u64) -> Result<DeviceBuffer, HostError> {
        self.device_buffer_near(kind, id, bytes, 0)
    }

    /// The same at a given place in the worker's address space, if that is free there: for data that holds addresses.
    ///
    /// # Errors
    /// As [`HostRuntime::device_buffer`].
    pub fn device_buffer_near(
        &mut self,
        kind: CoreKind,
        id: u32,
        bytes: u64,
        address: u64,
    ) -> Result<DeviceBuffer, HostError> {
        self.check_open()?;
        let worker = control::lane(&self.crew, kind, id)?.core;
        let at = self.crew.lanes().iter().position(|lane| lane.core == worker).expect("a core that exists is a lane");
        let buffer = Unshared::fresh_id();
        let number = self.crew.allocate_on(at, buffer, bytes.max(1), address)?;
        let address = address_in(worker.0, number);
        self.crew.memory().unshared.insert(address, buffer, bytes.max(1));
        let terms = Terms {
            place: Place::Core(worker),
            read_only: false,
            advice: "direct the task at that worker, or use HostRuntime::buffer for memory that all workers share",
        };
        Ok(DeviceBuffer { buffer: self.runtime.buffer_on_terms(address, bytes, terms), worker })
    }

    /// Memory that was declared before the start.
    ///
    /// # Errors
    /// If it was declared to another runtime's builder.
    pub fn inherited(&mut self, id: InheritedId) -> Result<InheritedBuffer, HostError> {
        self.check_open()?;
        let InheritedId(one) = id;
        if !self.inherited.contains(&one) {
            return Err(HostError::NotInherited { address: one.address, bytes: one.bytes });
        }
        let has =
            |kind| !self.crew.lanes().iter().any(|lane| lane.plan.kind == kind && lane.plan.origin == Origin::Spawn);
        let terms = Terms {
            place: Place::Kinds([has(CoreKind::Cube), has(CoreKind::Vector)]),
            read_only: true,
            advice: "it is the program's own memory as of the start; use HostRuntime::buffer_from for memory that all workers share",
        };
        Ok(InheritedBuffer(self.runtime.buffer_on_terms(one.address, one.bytes, terms)))
    }

    /// Refuses memory that is declared too late.
    ///
    /// # Errors
    /// Always: workers that have been started have no memory that comes into being later, unless it is shared.
    ///
    /// # Safety
    /// As [`HostBuilder::inherit`]; the memory is not looked at.
    pub unsafe fn inherit(&mut self, memory: *const u8, bytes: usize) -> Result<InheritedId, HostError> {
        Err(HostError::TooLateToInherit { address: memory as u64, bytes: bytes as u64 })
    }
}
