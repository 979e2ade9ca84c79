//! The record of what ran where and when.

use crate::rig::{Rig, chip, closure, payload};
use prewire_platform_sim::{Engine, Execution};
use prewire_runtime_core::id::{CoreId, KernelId};
use prewire_runtime_core::platform::{DispatchPayload, Platform};
use std::time::Duration;

#[test]
fn every_execution_is_recorded_while_recording_is_on() {
    for engine in [Engine::Inline, Engine::Threads] {
        let kernels = vec![
            closure(|_| Ok(())),
            closure(|_| {
                std::thread::sleep(Duration::from_millis(2));
                Ok(())
            }),
        ];
        let mut rig = Rig::new(chip(2), engine, kernels);
        assert_eq!(rig.run(&payload(CoreId(0), 0, 1)), Ok(()));
        rig.sim.start_recording(2);
        let before = rig.sim.now_ns();
        for task in 2..8 {
            let block =
                DispatchPayload { block: task as u32, blocks: 9, part: 2, parts: 4, ..payload(CoreId(5), 1, task) };
            assert_eq!(rig.run(&block), Ok(()));
        }
        let after = rig.sim.now_ns();
        rig.sim.stop_recording();
        assert_eq!(rig.run(&payload(CoreId(0), 0, 9)), Ok(()));
        let mut executions: Vec<Execution> = Vec::new();
        rig.sim.drain_recording(|execution| executions.push(execution));
        assert_eq!(executions.len(), 6, "{engine:?}");
        let mut last = before;
        for (execution, task) in executions.iter().zip(2..) {
            assert_eq!((execution.core, execution.kernel, execution.part), (CoreId(5), KernelId(1), 2));
            assert_eq!((execution.task.sequence(), u64::from(execution.block)), (task, task));
            assert!(last <= execution.start_ns && execution.start_ns + 2_000_000 <= execution.end_ns, "{execution:?}");
            last = execution.end_ns;
        }
        assert!(last <= after);
        rig.sim.drain_recording(|execution| panic!("{execution:?} was taken before"));
    }
}
