//! The whole chip in virtual time: one thread, a clock of its own, an order that the seed decides.

mod common;

use common::{chain, increment};
use prewire::{
    Argument, Chip, CoreId, DataType, Engine, Fatal, Fault, Injection, Kernel, Report, RunError, Runtime, StallClass,
    Task,
};
use std::time::{Duration, Instant};

fn chip(seed: u64) -> prewire::Builder {
    Runtime::builder().platform(Chip::A2a3).engine(Engine::Virtual { seed }).record_trace(true)
}

fn us(count: u64) -> Duration {
    Duration::from_micros(count)
}

/// Runs so many independent vector tasks of a length.
fn independent(runtime: &mut Runtime, count: usize, length: Duration) -> Report {
    let kernel = runtime.register(Kernel::vector("sleeps", |_| Ok(())).lasting(length)).unwrap();
    runtime
        .run(|run| {
            for _ in 0..count {
                run.submit(&Task::vector(kernel))?;
            }
            Ok(())
        })
        .unwrap()
}

#[test]
fn smoke() {
    let mut runtime = chip(1).build().unwrap();
    let report = independent(&mut runtime, 96, us(100));
    println!("{:?} {:?}", report.elapsed, report.makespan());
    println!("{:?}", report.blocks.as_ref().map(|b| &b[..4]));
    let kernel = runtime.register(increment().lasting(us(10))).unwrap();
    let buffer = runtime.buffer(4).unwrap();
    let cell = buffer.tensor(&[1], DataType::U32).unwrap();
    let report = chain(&mut runtime, kernel, &cell, 10).unwrap();
    println!("{:?} {:?}", report.elapsed, report.makespan());
    assert_eq!(runtime.read::<u32>(&buffer).unwrap(), [10]);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}
