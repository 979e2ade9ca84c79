//! Several workers: more of them than processors, chains that go from one to the next, and groups.

use crate::bare::Peer;
use crate::figures::{median, quantile, run, start};
use crate::row::Row;
use prewire::host::{self, HostRuntime};
use prewire::{Argument, CoreId, CoreKind, DataType, Member, Placement, SubmitError};
use std::error::Error;
use std::time::Instant;

/// Tasks of a run whose tasks are counted.
const TASKS: usize = 2000;
/// Groups of a run.
const GROUPS: [usize; 2] = [1, 200];
/// Runs of one task of which the slowest hundredth is looked at.
const SINGLES: usize = 1000;

/// Prints HOST-137.
pub(crate) fn more_than_processors(rounds: usize) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut hosts = Vec::new();
    for workers in [1, 2, 4, 8] {
        hosts.push((workers, start(workers)?, Vec::new(), Vec::new()));
    }
    for _ in 0..rounds {
        for (_, (host, nothing), times, tails) in &mut hosts {
            run(host, *nothing, 200);
            times.push(run(host, *nothing, TASKS) / TASKS as f64);
            let singles: Vec<f64> = (0..SINGLES).map(|_| run(host, *nothing, 1)).collect();
            tails.push(quantile(&singles, 0.99) / median(&singles));
        }
    }
    let mut rows = Vec::new();
    let one = median(&hosts[0].2);
    for (workers, (host, _), times, tails) in hosts {
        host.close()?;
        let time = median(&times);
        let what = format!("a task on {workers} workers, to one on 1 worker");
        let row = Row::new("HOST-137", what, format!("{time:.3} µs"), time / one);
        rows.push(if workers == 8 { row.at_most(1.5) } else { row });
        let what = format!("p99 of {SINGLES} runs of one task on {workers} workers, to their median");
        rows.push(Row::new("HOST-137", what, "", median(&tails)).at_most(4.0));
    }
    Ok(rows)
}

fn timed(
    host: &mut HostRuntime,
    graph: impl FnOnce(&mut prewire::Run<'_>) -> Result<(), SubmitError>,
) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    host.run(graph)?;
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}

/// Prints HOST-140. A group and four single tasks are compared by themselves, and in a stream, where single tasks lie ready in their workers' mailboxes while a group
/// waits until it has all four workers.
pub(crate) fn chain_and_group(rounds: usize) -> Result<Vec<Row>, Box<dyn Error>> {
    let bare = Peer::start()?;
    let (mut single, nothing) = start(1)?;
    let word = single.buffer(8)?;
    let cell = word.tensor(&[1], DataType::U64)?;
    let (mut four, empty) = start(4)?;
    let cores = (0..4).map(|id| four.worker(CoreKind::Vector, id)).collect::<Result<Vec<CoreId>, _>>()?;
    let members = [Member::new(&[]); 4];
    let group = host::sub(empty).group(&members).placement(Placement::Cores(&cores));
    let groups = |host: &mut HostRuntime, count: usize| {
        timed(host, |run| (0..count).try_for_each(|_| run.submit(&group).map(drop)))
    };
    let singles = |host: &mut HostRuntime, count: usize| {
        timed(host, |run| {
            let all = cores.iter().cycle().take(4 * count);
            all.copied().try_for_each(|core| run.submit(&host::sub(empty).placement(Placement::Core(core))).map(drop))
        })
    };
    let (mut links, mut spins) = (Vec::new(), Vec::new());
    let mut times = GROUPS.map(|_| [Vec::new(), Vec::new()]);
    for _ in 0..rounds {
        spins.push(bare.spinning_round_trip(TASKS as u32));
        run(&mut single, nothing, 200);
        let chain = timed(&mut single, |run| {
            let link = host::sub(nothing);
            (0..TASKS).try_for_each(|_| run.submit(&link.arguments(&[Argument::InOut(&cell)])).map(drop))
        })?;
        links.push(chain / TASKS as f64);
        for (count, [together, apart]) in GROUPS.into_iter().zip(&mut times) {
            for _ in 0..GROUPS[1] / count {
                run(&mut four, empty, 20);
                together.push(groups(&mut four, count)? / count as f64);
                run(&mut four, empty, 20);
                apart.push(singles(&mut four, count)? / count as f64);
            }
        }
    }
    single.close()?;
    four.close()?;
    let (link, spin) = (median(&links), median(&spins));
    let what = "a task of a chain of 2000, to a bare spinning round trip";
    let mut rows = vec![Row::new("HOST-140", what, format!("{link:.2} µs to {spin:.2} µs"), link / spin).at_most(2.0)];
    for (count, [together, apart]) in GROUPS.into_iter().zip(times) {
        let (together, apart) = (median(&together), median(&apart));
        let stream = if count > 1 { ", in a stream" } else { "" };
        let what = format!("a group of 4, to 4 single tasks for the same workers{stream}");
        let row = Row::new("HOST-140", what, format!("{together:.2} µs to {apart:.2} µs"), together / apart);
        rows.push(if count > 1 { row } else { row.at_most(1.5) });
    }
    Ok(rows)
}
