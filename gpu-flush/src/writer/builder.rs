//! From a configuration to a writer: everything is checked before anything is allocated.

use std::sync::Arc;

use super::environment;
use super::multi::MultiWriter;
use super::single::Writer;
use crate::codec::Codec;
use crate::config::{ArrayConfig, DeviceChoice, EngineConfig};
use crate::device::{CompressContexts, CpuDevice, Description, Device};
use crate::edges::Mutations;
use crate::error::Error;
use crate::geometry::{ArrayGeometry, CodecBounds, MemoryEstimate, Placement, estimate_memory};
use crate::schedule::{Array, ArrayPlan, BackPressure, Engine};
use crate::sink::{Sink, guarded};
use crate::zarr::Publisher;

/// Collects arrays, settings and a device; [`WriterBuilder::build`] checks everything before it allocates or writes.
#[derive(Debug, Default)]
pub struct WriterBuilder {
    arrays: Vec<(ArrayConfig, Arc<dyn Sink>)>,
    engine: EngineConfig,
    device: Option<Arc<dyn Device>>,
    overwrite: bool,
    pub(crate) mutations: Mutations,
}

/// The memory that a writer of this array will take, computed without taking any. `page_bytes` is the sink's alignment, 0 for none.
/// The device is the one `engine` chooses.
///
/// # Errors
/// The configuration cannot be built.
pub fn memory_estimate(
    config: &ArrayConfig,
    engine: &EngineConfig,
    page_bytes: usize,
) -> Result<MemoryEstimate, Error> {
    let geometry = ArrayGeometry::new(config, 1)?;
    let codec = Codec::new(config.codec(), geometry.chunk_bytes, geometry.dtype.size_bytes());
    Ok(estimate(config, &geometry, engine, &codec, page_bytes, engine.device != DeviceChoice::Cuda))
}

fn estimate(
    config: &ArrayConfig,
    geometry: &ArrayGeometry,
    engine: &EngineConfig,
    codec: &Codec,
    page_bytes: usize,
    host_memory: bool,
) -> MemoryEstimate {
    let bounds = CodecBounds {
        chunk_bytes_max: codec.chunk_bytes_max(),
        workspace_bytes: 0,
        passthrough: codec.config().is_passthrough(),
    };
    estimate_memory(geometry, engine, config.append_reduce(), bounds, page_bytes, host_memory)
}

/// What an array needs before the engine exists.
struct Planned {
    config: ArrayConfig,
    geometry: Arc<ArrayGeometry>,
    codec: Codec,
    estimate: MemoryEstimate,
    publisher: Publisher,
    sink: Arc<dyn Sink>,
}

impl WriterBuilder {
    /// A writer with default settings, on the CPU, without arrays.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an array and the sink it goes to. Arrays of one store share one sink and have names of their own in it.
    #[must_use]
    pub fn array(mut self, config: ArrayConfig, sink: Arc<dyn Sink>) -> Self {
        self.arrays.push((config, sink));
        self
    }

    /// Sets the engine's settings.
    #[must_use]
    pub fn engine(mut self, engine: EngineConfig) -> Self {
        self.engine = engine;
        self
    }

    /// Uses this device instead of the one the settings choose.
    #[must_use]
    pub fn device(mut self, device: Arc<dyn Device>) -> Self {
        self.device = Some(device);
        self
    }

    /// Lets the writer replace what the sinks hold already.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Builds a writer for the one array that was added.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] when there is not exactly one array or a setting is wrong, [`Error::OutOfMemory`],
    /// [`Error::DeviceFailed`] or [`Error::DeviceUnavailable`] when there is no room or no device, [`Error::AlreadyExists`] and
    /// [`Error::SinkFailed`] from the sink.
    pub fn build(self) -> Result<Writer, Error> {
        if self.arrays.len() != 1 {
            let reason =
                format!("{} arrays were added; a writer has one, a multi-array writer several", self.arrays.len());
            return Err(Error::invalid_config("array", reason));
        }
        let (engine, mut arrays) = self.create(true)?;
        let array = arrays.remove(0);
        Ok(Writer::new(engine, array))
    }

    /// Builds a writer for all arrays that were added, which share one engine and one codec.
    ///
    /// # Errors
    /// As [`WriterBuilder::build`], and [`Error::InvalidConfig`] when the codecs differ.
    pub fn build_multi(self) -> Result<MultiWriter, Error> {
        let Some(((first, _), others)) = self.arrays.split_first() else {
            return Err(Error::invalid_config("array", "a multi-array writer needs at least one array"));
        };
        for (index, (other, _)) in others.iter().enumerate() {
            if other.codec() != first.codec() {
                let reason = format!(
                    "array 0 has codec {}, array {} has {}; one engine has one codec",
                    first.codec(),
                    index + 1,
                    other.codec()
                );
                return Err(Error::invalid_config(format!("array[{}].codec", index + 1), reason));
            }
        }
        let (engine, arrays) = self.create(false)?;
        Ok(MultiWriter::new(engine, arrays))
    }

    fn choose_device(&self) -> Result<(Arc<dyn Device>, Option<&'static str>), Error> {
        if let Some(device) = &self.device {
            return Ok((Arc::clone(device), None));
        }
        let wanted = environment::device(self.engine.device)?;
        let no_cuda = "no CUDA device is built into this version";
        match wanted {
            DeviceChoice::Cuda => Err(Error::DeviceUnavailable { device: "cuda".into(), reason: no_cuda.into() }),
            DeviceChoice::Auto => {
                tracing::info!(device = "cpu", reason = no_cuda, "chose the device");
                Ok((Arc::new(CpuDevice::new(self.engine.threads_max)?), Some(no_cuda)))
            }
            DeviceChoice::Cpu => Ok((Arc::new(CpuDevice::new(self.engine.threads_max)?), None)),
        }
    }

    /// Refuses arrays of one sink of which one's node would be, or hold, the other's: each would write over the other's documents.
    fn check_places(&self) -> Result<(), Error> {
        let inside = |name: &str, outer: &str| {
            outer.is_empty() || name.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        for (index, (config, sink)) in self.arrays.iter().enumerate() {
            let shared = self.arrays[..index].iter().enumerate().filter(|(_, (_, before))| Arc::ptr_eq(before, sink));
            for (before, (other, _)) in shared {
                let (name, taken) = (config.name(), other.name());
                if inside(name, taken) || inside(taken, name) {
                    let reason = format!(
                        "{name:?} and array {before}'s {taken:?} are in one another's way on one sink; \
                         give each a name of its own outside the other's, such as \"{before}\" and \"{index}\""
                    );
                    return Err(Error::invalid_config(format!("array[{index}].name"), reason));
                }
            }
        }
        Ok(())
    }

    /// Checks, then allocates, then touches the sinks, so that a failure leaves nothing behind.
    fn create(self, alone: bool) -> Result<(Engine, Vec<Array>), Error> {
        self.engine.validate()?;
        self.check_places()?;
        let force_gate_off = environment::force_gate_off(self.engine.force_gate_off)?;
        let planned = self.arrays.iter().map(|(config, sink)| self.plan(config, sink));
        let (device, device_reason) = self.choose_device()?;
        let host_memory = device.description().host_memory;
        for (config, _) in &self.arrays {
            check_level(config, &device.description())?;
        }
        if self.mutations.any() && device.description().name == "cpu" {
            return Err(Error::invalid_config(
                "mutations",
                "a weakened schedule would race on threads; use a stepped device",
            ));
        }
        let planned = planned
            .map(|planned| planned.map(|plan| plan.estimated(&self.engine, host_memory)))
            .collect::<Result<Vec<_>, _>>()?;
        self.check_budget(&planned, host_memory)?;
        let estimates: Vec<MemoryEstimate> = planned.iter().map(|plan| plan.estimate.clone()).collect();
        let workers =
            self.engine.threads_max.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let back_pressure =
            BackPressure { limit_bytes: self.engine.backpressure_bytes, wait_max: self.engine.backpressure_wait_max };
        let staging = self.engine.staging_slot_bytes();
        let mut engine = Engine::create(device, &estimates, staging, self.mutations.clone())?;
        engine.device_reason = device_reason;
        let mut arrays = Vec::with_capacity(planned.len());
        let mut contexts: Option<Arc<CompressContexts>> = None;
        let made = (|| -> Result<(), Error> {
            for (number, plan) in planned.into_iter().enumerate() {
                // Arrays of one chunk size share the codec's states.
                let shared = contexts.take().filter(|contexts| *contexts.codec() == plan.codec);
                let shared = match shared {
                    Some(shared) => shared,
                    None => Arc::new(CompressContexts::new(plan.codec, workers)?),
                };
                contexts = Some(Arc::clone(&shared));
                let plan = ArrayPlan {
                    number: number as u32,
                    config: plan.config,
                    geometry: plan.geometry,
                    estimate: plan.estimate,
                    contexts: shared,
                    publisher: plan.publisher,
                    sink: plan.sink,
                    back_pressure,
                    alone,
                    force_gate_off,
                };
                arrays.push(Array::create(&engine, plan)?);
            }
            // Every store is asked before any is written to: an array's documents are no reason to refuse its neighbour.
            for (index, (_, sink)) in self.arrays.iter().enumerate() {
                if !self.arrays[..index].iter().any(|(_, before)| Arc::ptr_eq(before, sink)) {
                    guarded("zarr.json", || sink.prepare(self.overwrite))?;
                }
            }
            for array in &mut arrays {
                let sink = Arc::clone(&array.sink);
                guarded("zarr.json", || array.publisher.create(sink.as_ref()))?;
            }
            engine.bind(&mut arrays[0]).map_err(Error::from)
        })();
        if let Err(error) = made {
            engine.synchronize();
            for array in &mut arrays {
                array.buffers.destroy(engine.device.as_ref());
            }
            engine.destroy();
            return Err(error);
        }
        Ok((engine, arrays))
    }

    fn plan(&self, config: &ArrayConfig, sink: &Arc<dyn Sink>) -> Result<Planned, Error> {
        let geometry = ArrayGeometry::new(config, 1)?;
        let codec = Codec::new(config.codec(), geometry.chunk_bytes, geometry.dtype.size_bytes());
        let publisher = Publisher::new(config, &geometry, self.engine.metadata_update_interval)?;
        Ok(Planned {
            config: config.clone(),
            geometry: Arc::new(geometry),
            codec,
            estimate: MemoryEstimate { buffers: Vec::new(), epochs_per_batch: 0 },
            publisher,
            sink: Arc::clone(sink),
        })
    }

    fn check_budget(&self, planned: &[Planned], host_memory: bool) -> Result<(), Error> {
        let Some(limit_bytes) = self.engine.memory_budget_bytes else { return Ok(()) };
        let estimates: Vec<_> = planned.iter().map(|plan| &plan.estimate).collect();
        let need_bytes = shared_and_own_bytes(&estimates);
        if need_bytes <= limit_bytes {
            return Ok(());
        }
        let largest =
            planned.iter().filter_map(|plan| plan.estimate.largest()).max_by_key(|buffer| buffer.bytes * buffer.count);
        let smallest = EngineConfig { epochs_per_batch: Some(1), ..self.engine.clone() };
        let smallest: Vec<_> = planned.iter().map(|plan| plan.estimate_with(&smallest, host_memory)).collect();
        Err(Error::OutOfMemory {
            need_bytes,
            limit_bytes,
            smallest_bytes: Some(shared_and_own_bytes(&smallest.iter().collect::<Vec<_>>())),
            largest: largest.map_or_else(String::new, |buffer| buffer.name.to_owned()),
            largest_bytes: largest.map_or(0, |buffer| buffer.bytes * buffer.count),
        })
    }
}

const OWN: [&str; 4] = ["tail_state", "host_tail", "accumulators", "shard_indexes"];

fn own_bytes(estimate: &MemoryEstimate) -> u64 {
    estimate.buffers.iter().filter(|buffer| OWN.contains(&buffer.name)).map(|buffer| buffer.bytes * buffer.count).sum()
}

/// Bytes of the buffers that all arrays share, the largest of each, and of what each has for itself.
fn shared_and_own_bytes(estimates: &[&MemoryEstimate]) -> u64 {
    let Some(first) = estimates.first() else { return 0 };
    let names = first.buffers.iter().map(|buffer| buffer.name).filter(|name| !OWN.contains(name));
    let shared = names.map(|name| {
        let bytes = estimates.iter().map(|estimate| estimate.bytes_of(name)).max().unwrap_or(0);
        let count = estimates.iter().map(|estimate| estimate.count_of(name)).max().unwrap_or(0);
        bytes * count
    });
    shared.chain(estimates.iter().map(|estimate| own_bytes(estimate))).sum()
}

/// Refuses a level that the device's codec would not honour.
fn check_level(config: &ArrayConfig, device: &Description) -> Result<(), Error> {
    let codec = config.codec();
    if device.codec_levels || codec.level() == codec.default_level() {
        return Ok(());
    }
    let (level, default) = (codec.level(), codec.default_level());
    Err(Error::LevelUnsupported { codec: codec.name().into(), level, default, device: device.name.into() })
}

impl Planned {
    fn estimate_with(&self, engine: &EngineConfig, host_memory: bool) -> MemoryEstimate {
        estimate(&self.config, &self.geometry, engine, &self.codec, self.sink.page_bytes(), host_memory)
    }

    fn estimated(self, engine: &EngineConfig, host_memory: bool) -> Self {
        let estimate = self.estimate_with(engine, host_memory);
        debug_assert!(estimate.bytes(Placement::Host) < u64::MAX);
        Self { estimate, ..self }
    }
}
