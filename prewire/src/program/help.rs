//! What the program says about itself.

use super::exit::Failure;
use super::output::Output;
use crate::workloads::KINDS;

const GENERAL: &str = "\
Runs graphs of tasks on a simulated accelerator chip, checks the results and shows where the time went; writes arrays as sharded Zarr v3.

    prewire run WORKLOAD       run a computation and check its result: attention, cholesky, gemm
    prewire replay FILE        run a recorded graph; - reads it from standard input
    prewire record WORKLOAD    write a computation's graph
    prewire workers            run a network over chips in processes of their own and check its result
    prewire zarr INPUT OUTPUT  write a .npy file, raw elements or a pipe as a sharded Zarr v3 store
    prewire info               chips, limits, settings in force
    prewire help COMMAND       the options of a command

exit codes: 0 success, 1 a check failed, 2 the command line, 3 a run failed (its code is printed), 4 a file or other input,
            5 a setting of the environment";

const MACHINE: &str = "\
    --platform NAME   a2a3 or a5                                                              [default: a2a3]
    --engine NAME     inline: kernels run on the scheduler's threads; threads: on threads of the cores;
                      inline-only: as inline, and what needs several cores at once is refused;
                      virtual: in virtual time, with the latencies of the chip                [default: inline]
    --threads N       threads of the run: one submits, the others schedule; 0 is the chip's default, or the machine's processors if those are fewer
    --schedulers N    the same, counted without the one that submits
    --clusters N      fewer clusters than the chip has";

const RUN: &str = "\
prewire run WORKLOAD [options]

Runs a computation on real numbers, checks it against a plain reference in f64 and prints the report.

    --seed N          makes the data; the same seed gives the same numbers everywhere; in virtual time it also
                      decides the order of things                                             [default: 0]
    --input FILE.npy  a matrix to compute with, f32 or f64
    --output FILE.npy where to put the result
    --trace FILE      where to put a trace that Perfetto opens (ui.perfetto.dev)";

const REPLAY: &str = "\
prewire replay FILE|- [options]

Runs a recorded graph (docs/graph-format.md) with kernels that take the time the file says, and none where it says nothing. In virtual time they
take what their arguments make likely then, and the report compares the makespan with the least that any schedule could take.

    --kernel-us X     every kernel takes X microseconds instead; 0 for none
    --check-edges     also infer the dependencies as the recording runtime does, with no task ever finished, and compare them pair by pair
    --seed N          in virtual time, decides the order of things: one seed, one output      [default: 0]
    --rounds N        run it N times, and report the median                                   [default: 1]
    --trace FILE      where to put a trace of the last round";

const RECORD: &str = "\
prewire record WORKLOAD [options]

Writes the graph of a computation (docs/graph-format.md) without running it.

    --timed           run it as well, and write down how long each kernel takes
    --output FILE     where to put it                                                         [default: standard output]
    --seed, --input   as for 'prewire run'";

const WORKERS: &str = "\
prewire workers [options]

Computes a tensor-parallel feed-forward network: each chip, simulated in a worker process, has a part of the hidden layer; a sub worker adds the parts up.
Checks the result against a plain reference in f64 and prints what every process did.

    --chips N         next-level workers with a chip each                                     [default: 2]
    --subs N          sub workers                                                             [default: 1]
    --seed N          makes the data                                                          [default: 0]
    --trace FILE      where to put a trace of all processes on one time axis (ui.perfetto.dev)";

pub(super) fn print(topic: Option<String>, output: &mut Output) -> Result<(), Failure> {
    match topic.as_deref() {
        None | Some("help") => output.line(GENERAL),
        Some("run") => {
            output.line(RUN)?;
            output.line(MACHINE)?;
            workloads(output)
        }
        Some("replay") => {
            output.line(REPLAY)?;
            output.line(MACHINE)
        }
        Some("record") => {
            output.line(RECORD)?;
            output.line(MACHINE)?;
            workloads(output)
        }
        Some("workers") => output.line(WORKERS),
        Some("zarr") => output.line(prewire_gpu_flush::program::HELP.trim_end()),
        Some("info") => {
            output.line("prewire info\n\nPrints the chips, the limits, and the settings with the values in force.")
        }
        Some(other) => Err(Failure::Usage(format!(
            "there is no help about '{other}'; commands are run, replay, record, workers, zarr and info"
        ))),
    }
}

fn workloads(output: &mut Output) -> Result<(), Failure> {
    for kind in KINDS {
        output.line(format_args!("\n{}: {}", kind.name, kind.meaning))?;
        for size in kind.sizes {
            let option = format!("--{} N", size.name);
            output.line(format_args!("    {option:<17} {} [default: {}]", size.meaning, size.default))?;
        }
        if let Some(input) = kind.input {
            output.line(format_args!("    {:<17} {input}", "--input FILE"))?;
        }
    }
    Ok(())
}
