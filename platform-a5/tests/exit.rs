//! The end of a run on either chip, with cores that do not leave.

use prewire_platform_sim::{Engine, Fault, Sim, SimConfig, SimMemory};
use prewire_runtime_core::graph::{Graph, GraphSizes};
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::platform::Platform;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the warnings that pass by.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Three deadlines one behind the other would take three times as long as one.
///
/// Claims CHIP-158.
#[test]
fn cores_that_do_not_leave_are_waited_for_together_and_named() {
    for chip in [prewire_platform_a2a3::chip(), prewire_platform_a5::chip()] {
        assert_eq!(chip.exit_deadline_ms, 1000);
        for engine in [Engine::Inline, Engine::Threads] {
            let cores = usize::from(chip.cores());
            let graph = Graph::new(GraphSizes { slots: 4, edges: 4, argument_units: 4, instances: 1, cores }, |_| 0);
            let memory = Arc::new(SimMemory::new(&chip));
            let sim = Sim::new(SimConfig::new(chip.clone(), engine), Arc::new(graph), memory).unwrap();
            let silent = [CoreId(3), CoreId(40), CoreId(71)];
            for core in silent {
                sim.set_fault(core, Some(Fault::NeverExits));
            }
            sim.begin_run(1, &Arc::default()).unwrap();
            let warnings = Warnings::default();
            let began = Instant::now();
            let left_behind = tracing::subscriber::with_default(warnings.clone(), || sim.exit());
            let elapsed = began.elapsed();
            assert_eq!(left_behind, silent, "{} {engine:?}", chip.name);
            let deadline = Duration::from_millis(chip.exit_deadline_ms);
            assert!(elapsed >= deadline && elapsed < 3 * deadline, "one deadline for all three, not {elapsed:?}");
            let names: Vec<String> = silent.iter().map(|&core| chip.core_name(core)).collect();
            let expected = format!("no answer to the call to leave within 1000 ms from {}", names.join(", "));
            assert_eq!(*warnings.0.lock().unwrap(), [expected]);
        }
    }
}
