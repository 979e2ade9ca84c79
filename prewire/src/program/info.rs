//! `prewire info`.

use super::exit::Failure;
use super::output::Output;
use prewire::Chip;
use prewire::settings::SETTINGS;
use prewire_runtime_core::error::ErrorCode;
use prewire_runtime_core::id::RING_COUNT;
use prewire_runtime_core::kernel::MAX_KERNELS;
use prewire_runtime_core::task::{MAX_BLOCKS, MAX_SCALARS, MAX_SCOPE_DEPTH, MAX_TENSORS, OUTPUT_ALIGNMENT_BYTES};
use prewire_runtime_core::tensor::MAX_DIMENSIONS;

pub(super) fn print(output: &mut Output) -> Result<(), Failure> {
    output.line(format_args!("prewire {}\n\nplatforms", env!("CARGO_PKG_VERSION")))?;
    for chip in Chip::ALL {
        let spec = chip.spec();
        output.line(format_args!(
            "  {:<6}{} clusters on {} die{}: {} AIC and {} AIV cores; {} to {} threads, {} by default; counter {} MHz",
            spec.name,
            spec.clusters,
            spec.dies,
            if spec.dies == 1 { "" } else { "s" },
            spec.cube_cores(),
            spec.vector_cores(),
            2,
            spec.threads_max,
            spec.threads_default,
            spec.counter_hz / 1_000_000,
        ))?;
        let types: Vec<_> = spec.data_types.iter().map(|data_type| data_type.name()).collect();
        output.line(format_args!("        element types: {}", types.join(", ")))?;
    }
    output.line("\nlimits of a task")?;
    let limits = [
        ("tensor arguments", MAX_TENSORS as u64),
        ("scalar arguments", MAX_SCALARS as u64),
        ("dimensions of a tensor", MAX_DIMENSIONS as u64),
        ("blocks", u64::from(MAX_BLOCKS)),
        ("kernels registered at once", MAX_KERNELS as u64),
        ("scopes inside one another", MAX_SCOPE_DEPTH as u64),
        ("rings, by depth of scope", RING_COUNT as u64),
        ("alignment of outputs, bytes", OUTPUT_ALIGNMENT_BYTES),
    ];
    for (what, limit) in limits {
        output.line(format_args!("  {what:<30}{limit}"))?;
    }
    output.line("\nsettings (environment variable: value in force, meaning, values)")?;
    let settings =
        SETTINGS.iter().map(|setting| (setting.environment, setting.default, setting.meaning, setting.accepts));
    let flush = prewire_gpu_flush::settings::SETTINGS;
    let flush = flush.iter().map(|setting| (setting.environment, setting.default, setting.meaning, setting.accepts));
    for (environment, default, meaning, accepts) in settings.chain(flush) {
        let value = match std::env::var_os(environment) {
            Some(value) => format!("{} (from the environment)", value.to_string_lossy()),
            None => format!("{default} (default)"),
        };
        output.line(format_args!("  {environment:<29}{value}"))?;
        output.line(format_args!("  {:<29}{meaning}; {accepts}", ""))?;
    }
    // A value that no run would accept is worth a word here.
    if let Err(error) = prewire::Runtime::builder().clusters(1).single_thread(true).build() {
        output.line(format_args!("\nwith this environment nothing runs: {error}"))?;
    }
    output.line("\nerror codes")?;
    for code in ErrorCode::ALL {
        output.line(format_args!("  {:<4}{:<28}{}; {}", code.number(), code.name(), code.text(), code.hint()))?;
    }
    Ok(())
}
