//! What every process did and when, by the clock that all processes of a machine share.

use crate::program::exit::Failure;
use crate::program::output::Output;
use prewire::host::WorkerStatus;
use serde_json::{Value, json};

/// Entries of one log.
const ENTRIES: usize = 512;
/// Words of one log: a count, and track, start and end of each entry.
pub(super) const LOG_WORDS: u32 = 1 + 3 * ENTRIES as u32;

/// Nanoseconds by the machine's monotonic clock.
pub(super) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A log in shared words, as its writer sees it.
#[derive(Debug)]
pub(super) struct Log<'a>(&'a mut [u64]);

impl<'a> Log<'a> {
    pub(super) fn new(words: &'a mut [u64]) -> Self {
        Log(words)
    }

    /// Adds an entry; what finds no room is left out.
    pub(super) fn add(&mut self, track: u64, start: u64, end: u64) {
        let at = self.0[0] as usize;
        if at < ENTRIES {
            self.0[1 + 3 * at..4 + 3 * at].copy_from_slice(&[track, start, end]);
            self.0[0] += 1;
        }
    }
}

/// One process.
#[derive(Debug)]
struct Track {
    name: String,
    pid: i32,
    entries: Vec<[u64; 3]>,
}

/// All processes.
#[derive(Debug)]
pub(super) struct Timeline(Vec<Track>);

impl Timeline {
    /// The logs of the next-level workers, and one for the all-reduce, which the first sub worker stands for.
    pub(super) fn read(words: &[u64], workers: &[WorkerStatus]) -> Self {
        let chips = words.len() / LOG_WORDS as usize - 1;
        let logs = words.chunks_exact(LOG_WORDS as usize);
        let tracks = logs.zip(workers.iter().take(chips + 1)).map(|(log, worker)| Track {
            name: worker.name.clone(),
            pid: worker.pid.unwrap_or_default(),
            entries: log[1..]
                .chunks_exact(3)
                .take(log[0] as usize)
                .map(|entry| [entry[0], entry[1], entry[2]])
                .collect(),
        });
        Timeline(tracks.collect())
    }

    fn begin(&self) -> u64 {
        self.0.iter().flat_map(|track| &track.entries).map(|entry| entry[1]).min().unwrap_or(0)
    }

    /// A line for each process: its tasks, its cores' blocks, how long it was busy.
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        output.row("process", format_args!("{:<22}{:>7}{:>8}{:>10}", "", "tasks", "blocks", "busy ms"))?;
        for track in &self.0 {
            let tasks: Vec<_> = track.entries.iter().filter(|entry| entry[0] == 0).collect();
            let busy: u64 = tasks.iter().map(|entry| entry[2] - entry[1]).sum();
            let blocks = track.entries.len() - tasks.len();
            let name = format!("{:<22}", track.name);
            output.row("", format_args!("{name}{:>7}{blocks:>8}{:>10.2}", tasks.len(), busy as f64 / 1e6))?;
        }
        Ok(())
    }

    /// As Chrome's trace events: a process for each worker, a track for its tasks and one for each core of its chip.
    pub(super) fn to_json(&self) -> Value {
        let begin = self.begin();
        let mut events = Vec::new();
        for track in &self.0 {
            events.push(json!({"ph": "M", "pid": track.pid, "name": "process_name", "args": {"name": track.name}}));
            for &[lane, start, end] in &track.entries {
                let name = if lane == 0 { "task".to_owned() } else { format!("core {}", lane - 1) };
                let (at, long) = ((start - begin) as f64 / 1e3, (end - start) as f64 / 1e3);
                events.push(json!({"ph": "X", "pid": track.pid, "tid": lane, "name": name, "ts": at, "dur": long}));
            }
        }
        json!({"displayTimeUnit": "ns", "traceEvents": events})
    }
}
