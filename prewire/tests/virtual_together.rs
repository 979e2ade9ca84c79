//! Kernels that wait for one another, in virtual time: barriers of a gang, pipes between the parts of a cluster, and what becomes of them when a sibling
//! fails or hangs.

use prewire::{
    Argument, Chip, CoreId, DataType, Engine, ErrorCode, Fatal, Fault, Kernel, KernelError, RunError, Runtime,
    StallClass, Task,
};
use std::time::Duration;

fn virtual_chip(seed: u64) -> Runtime {
    let builder = Runtime::builder().platform(Chip::A2a3).engine(Engine::Virtual { seed }).record_trace(true);
    builder.ring_task_window(64).ring_heap(1 << 20).ring_dep_pool(256).build().unwrap()
}

/// Each block adds its number to its cell, meets the others, and then sums all cells up into its own second one.
fn meet_and_sum() -> Kernel {
    Kernel::vector("meet and sum", |kernel| {
        let (block, blocks) = (kernel.block_index() as usize, kernel.block_count() as usize);
        let mut cells = kernel.output::<u32>(0)?;
        cells.set(&[block], cells.get(&[block]) + block as u32 + 1);
        kernel.barrier()?;
        let sum = (0..blocks).map(|other| cells.get(&[other])).sum();
        kernel.barrier()?;
        cells.set(&[blocks + block], sum);
        Ok(())
    })
}

#[test]
fn the_blocks_of_a_gang_meet_at_barriers() {
    let mut traces = Vec::new();
    for round in 0..3 {
        let mut runtime = virtual_chip(7);
        let kernel = runtime.register(meet_and_sum().lasting(Duration::from_micros(3))).unwrap();
        let buffer = runtime.buffer(4 * 96).unwrap();
        let cells = buffer.tensor(&[96], DataType::U32).unwrap();
        let report = runtime
            .run(|run| {
                for _ in 0..4 {
                    run.submit(&Task::vector(kernel).blocks(48).sync_start().arguments(&[Argument::InOut(&cells)]))?;
                }
                Ok(())
            })
            .unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        let values = runtime.read::<u32>(&buffer).unwrap();
        let first: Vec<u32> = (1..=48).map(|block| 4 * block).collect();
        assert_eq!(values[..48], first[..]);
        assert_eq!(values[48..], vec![first.iter().sum::<u32>(); 48][..]);
        // Nobody ends before the last has started.
        let blocks = report.blocks.unwrap();
        for task in blocks.chunks(1).map(|block| block[0].task) {
            let of_task = || blocks.iter().filter(|block| block.task == task);
            let last_start = of_task().map(|block| block.start_ns).max();
            assert!(of_task().map(|block| block.end_ns).min() >= last_start);
        }
        if round > 0 {
            assert_eq!(traces, blocks);
        }
        traces = blocks;
    }
}

#[test]
fn the_parts_of_a_cluster_speak_through_pipes() {
    let mut runtime = virtual_chip(1);
    let cube = Kernel::cube("ask", |kernel| {
        for value in 0..200 {
            kernel.send(1, value)?;
            kernel.send(2, value)?;
        }
        let sum = kernel.receive(1)? + kernel.receive(2)?;
        kernel.output::<u64>(0)?.set(&[kernel.block_index() as usize], sum);
        Ok(())
    });
    let vector = Kernel::vector("answer", |kernel| {
        let mut sum = 0;
        for _ in 0..200 {
            sum += kernel.receive(0)?;
        }
        kernel.send(0, sum)
    });
    let (cube, vector) = (runtime.register(cube).unwrap(), runtime.register(vector).unwrap());
    let buffer = runtime.buffer(8 * 30).unwrap();
    let sums = buffer.tensor(&[30], DataType::U64).unwrap();
    let task = Task::cluster(Some(cube), Some(vector), Some(vector)).blocks(30);
    let report = runtime.run(|run| run.submit(&task.arguments(&[Argument::InOut(&sums)])).map(|_| ())).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(runtime.read::<u64>(&buffer).unwrap(), [2 * (0..200).sum::<u64>(); 30]);
}

#[test]
fn siblings_of_a_failed_or_hung_block_do_not_wait_for_ever() {
    for seed in 0..10 {
        let mut runtime = virtual_chip(seed);
        let meets = runtime
            .register(Kernel::vector("meets", |kernel| {
                if kernel.block_index() == 5 && kernel.scalar::<u64>(0)? == 1 {
                    return Err(KernelError::new(31, "block 5 does not come"));
                }
                kernel.barrier()
            }))
            .unwrap();
        let (fails, comes) = ([1u64.into()], [0u64.into()]);
        let gang = Task::vector(meets).blocks(12).sync_start();
        let failed = runtime.run(|run| run.submit(&gang.scalars(&fails)).map(|_| ())).unwrap_err();
        match &*failed.error {
            RunError::KernelFailed { first, .. } => assert_eq!((first.code, first.block), (31, 5)),
            other => panic!("{other}"),
        }
        // A core that hangs: its siblings wait, all stand still, and the watchdog ends the run.
        (24..72).step_by(2).for_each(|core| runtime.set_fault(CoreId(core), Some(Fault::Hangs)));
        let failed = runtime.run(|run| run.submit(&gang.scalars(&comes)).map(|_| ())).unwrap_err();
        assert_eq!(failed.error.code(), Some(ErrorCode::SchedulerTimeout));
        match &*failed.error {
            RunError::Fatal(Fatal::Stalled(report)) => assert_eq!(report.class, StallClass::RunningStalled),
            other => panic!("{other}"),
        }
        (24..72).step_by(2).for_each(|core| runtime.set_fault(CoreId(core), None));
        runtime.run(|run| run.submit(&gang.scalars(&comes)).map(|_| ())).unwrap();
    }
}
