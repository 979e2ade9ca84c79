//! Goal: what is written is the trace format, each slice lies on the track of its core without overlap, and each dependency is an arrow whose
//! ends lie in slices of its two tasks.

use super::*;
use crate::{Argument, Chip, DataType, Engine, Kernel, NewTensor, RingIndex, Runtime, Task};
use std::collections::{HashMap, HashSet};

#[derive(Debug)]
struct Names;

impl KernelNames for Names {
    fn name_of(&self, kernel: KernelId) -> Option<&str> {
        (kernel.0 == 0).then_some("add \"quoted\"")
    }
}

fn task(number: u64) -> TaskId {
    TaskId::new(RingIndex(0), number)
}

fn block(core: u16, number: u64, start_ns: u64, end_ns: u64) -> BlockRecord {
    BlockRecord {
        core: CoreId(core),
        task: task(number),
        kernel: KernelId((number % 2) as u16),
        block: 0,
        part: 1,
        token: prewire_runtime_core::port::Token::FIRST,
        dispatch_ns: start_ns,
        start_ns,
        end_ns,
    }
}

fn parsed(trace: &Trace<'_>) -> Vec<Value> {
    let mut text = Vec::new();
    trace.write(&mut text).expect("memory takes everything");
    let value: Value = serde_json::from_slice(&text).expect("a trace is JSON");
    assert_eq!(value["displayTimeUnit"], "ns");
    value["traceEvents"].as_array().expect("it has events").clone()
}

fn phase<'a>(events: &'a [Value], phase: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["ph"] == phase).collect()
}

#[test]
fn slices_and_arrows_of_a_small_trace() {
    let chip = Chip::A2a3.spec();
    let blocks = vec![block(24, 0, 1_000, 3_000), block(25, 2, 5_500, 6_001), block(24, 1, 3_000, 3_000)];
    // Task 9 has no kernel: its arrow comes from task 0, which ended last of what it waited for.
    let edges = [(task(0), task(2)), (task(1), task(9)), (task(9), task(2)), (task(0), task(1))];
    let trace = Trace::new(&chip, blocks, &edges, &Names);
    let events = parsed(&trace);
    let slices = phase(&events, "X");
    assert_eq!(slices.len(), 3);
    assert_eq!(slices[0]["name"], "add \"quoted\"(r0t0)");
    assert_eq!((slices[0]["ts"].as_f64(), slices[0]["dur"].as_f64()), (Some(0.0), Some(2.0)));
    assert_eq!(slices[1]["name"], "kernel 1(r0t1)");
    assert_eq!((slices[2]["ts"].as_f64(), slices[2]["dur"].as_f64()), (Some(4.5), Some(0.501)));
    assert_eq!(trace.arrow_count(), 3);
    let ends = |arrow: &str| {
        phase(&events, arrow).iter().map(|end| (end["id"].clone(), end["tid"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(ends("s"), [(json!(0), json!(25)), (json!(1), json!(25)), (json!(2), json!(25))]);
    assert_eq!(ends("f"), [(json!(0), json!(25)), (json!(1), json!(26)), (json!(2), json!(26))]);
    let names: Vec<_> = phase(&events, "M")
        .iter()
        .filter(|event| event["name"] == "thread_name")
        .map(|event| event["args"]["name"].clone())
        .collect();
    assert_eq!(names.len(), 72);
    assert_eq!((&names[0], &names[24]), (&json!("AIC_0"), &json!("AIV_24")));
}

#[test]
fn long_chains_of_tasks_without_kernels_are_followed() {
    let chip = Chip::A2a3.spec();
    let last = 200_000;
    let edges: Vec<_> = (0..last).map(|number| (task(number), task(number + 1))).collect();
    let blocks = vec![block(0, 0, 0, 10), block(1, last, 20, 30)];
    assert_eq!(Trace::new(&chip, blocks, &edges, &Names).arrow_count(), 1);
}

/// A real run on each engine: every block is a slice on the track of its core, tracks do not overlap, and every inferred dependency is an arrow
/// from a slice of its producer to a slice of its consumer.
#[test]
fn the_trace_of_a_run_shows_it_as_it_was() {
    for engine in [Engine::Inline, Engine::Threads] {
        let mut runtime = Runtime::builder()
            .engine(engine)
            .clusters(2)
            .record_trace(true)
            .record_graph(true)
            .build()
            .expect("the settings are valid");
        let spin = runtime
            .register(Kernel::vector("spin", |context| {
                let mut value = context.output::<f32>(1)?;
                value.set(&[0], context.input::<f32>(0)?.get(&[0]) + 1.0);
                Ok(())
            }))
            .expect("there is room");
        let buffer = runtime.buffer_from(&[0.0f32]).expect("there is memory");
        let start = buffer.tensor(&[1], DataType::F32).expect("it fits");
        let report = runtime
            .run(|run| {
                for _ in 0..20 {
                    let mut value = start;
                    for _ in 0..5 {
                        let arguments =
                            [Argument::Input(&value), Argument::Output(NewTensor::new(&[1], DataType::F32))];
                        value = run.submit(&Task::vector(spin).arguments(&arguments))?.outputs[0];
                    }
                }
                Ok(())
            })
            .expect("nothing fails");
        let pairs: HashSet<(String, String)> = report
            .graph
            .as_ref()
            .expect("it was recorded")
            .pairs()
            .into_iter()
            .map(|(producer, consumer)| (producer.to_string(), consumer.to_string()))
            .collect();
        assert_eq!(pairs.len(), 80);
        let events = parsed(&Trace::of(&report, runtime.kernels()).expect("blocks were recorded"));
        let mut tracks: HashMap<u64, Vec<(f64, f64, String)>> = HashMap::new();
        for slice in phase(&events, "X") {
            let (start, length) = (slice["ts"].as_f64().expect("a number"), slice["dur"].as_f64().expect("a number"));
            let task = slice["args"]["task"].as_str().expect("a name").to_owned();
            assert_eq!(slice["name"], format!("spin({task})"));
            tracks.entry(slice["tid"].as_u64().expect("a track")).or_default().push((start, start + length, task));
        }
        assert_eq!(tracks.values().map(Vec::len).sum::<usize>(), 100, "{engine:?}");
        for slices in tracks.values_mut() {
            slices.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            for pair in slices.windows(2) {
                // Half a nanosecond of room for the decimals.
                assert!(pair[0].1 <= pair[1].0 + 0.0005, "{:?} overlaps {:?}", pair[0], pair[1]);
            }
        }
        let at = |event: &Value| -> HashSet<String> {
            let time = event["ts"].as_f64().expect("a number");
            let slices = &tracks[&event["tid"].as_u64().expect("a track")];
            slices.iter().filter(|slice| slice.0 <= time && time <= slice.1).map(|slice| slice.2.clone()).collect()
        };
        let ends: HashMap<u64, &Value> =
            phase(&events, "f").into_iter().map(|end| (end["id"].as_u64().expect("an id"), end)).collect();
        let starts = phase(&events, "s");
        assert_eq!(starts.len(), pairs.len());
        for start in starts {
            let end = ends[&start["id"].as_u64().expect("an id")];
            let joined =
                at(start).iter().any(|from| at(end).iter().any(|to| pairs.contains(&(from.clone(), to.clone()))));
            assert!(joined, "an arrow from {start} to {end} is no dependency");
        }
    }
}
