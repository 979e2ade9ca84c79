//! The command that writes a file or a pipe as a Zarr store.
//!
//! `prewire zarr INPUT OUT.zarr` takes a `.npy` file, raw elements with `--shape` and `--dtype`, or standard input. The program
//! `prewire` calls [`run`] with the arguments behind the command's name.

mod arguments;
mod error;
mod input;
mod npy;
mod plan;
mod progress;
mod report;
mod verify;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Instant;

pub use arguments::HELP;
pub use error::ProgramError;
pub use npy::NpyHeader;
pub use report::Report;

use crate::sink::{FileOptions, FileSink, Sink};
use crate::writer::{Status, WriterBuilder};
use arguments::{Arguments, Command};
use input::Input;
use progress::Progress;
use verify::Checksums;

/// Bytes read at once.
const READ_BYTES: usize = 4 << 20;

/// Runs the command. The report goes to `output`, progress to standard error when that is a terminal.
///
/// # Errors
///
/// [`ProgramError`], whose [`ProgramError::exit_code`] is the command's.
pub fn run(arguments: impl IntoIterator<Item = OsString>, output: &mut dyn Write) -> Result<(), ProgramError> {
    let text = match Arguments::parse(arguments)? {
        Command::Help => HELP.to_owned(),
        Command::Write(arguments) => write(&arguments)?.to_string(),
    };
    output.write_all(text.as_bytes()).map_err(|error| ProgramError::io("standard output", error))
}

/// Writes one store and returns what was done.
fn write(arguments: &Arguments) -> Result<Report, ProgramError> {
    let mut input = Input::open(arguments)?;
    let options = FileOptions::default().direct(arguments.direct).durable(arguments.durable);
    let sink = Arc::new(FileSink::new(&arguments.output, options)?);
    let plan = plan::plan(arguments, &input, sink.page_bytes())?;
    let started = Instant::now();
    let builder = WriterBuilder::new().array(plan.config.clone(), Arc::clone(&sink) as Arc<dyn Sink>);
    let mut writer =
        builder.engine(plan.engine.clone()).overwrite(arguments.overwrite).build().map_err(error::existing)?;
    let slab_bytes = verify::slab_bytes(writer.geometry());
    let mut checksums = Checksums::new(slab_bytes);
    let progress = Progress::new(input.total_bytes, arguments.quiet);
    let mut buffer = vec![0; READ_BYTES];
    let mut surplus = 0u64;
    loop {
        let length = input.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        let appended = writer.append(&buffer[..length])?;
        let accepted = length - appended.rest.len();
        surplus += appended.rest.len() as u64;
        if arguments.verify {
            checksums.add(&buffer[..accepted]);
        }
        progress.advance(accepted as u64, || writer.metrics());
        if appended.status == Status::Finished && surplus > 0 {
            break;
        }
    }
    if surplus > 0 {
        surplus += input.drain(&mut buffer)?;
        let message = format!("{surplus} B lie behind the array's end");
        return Err(ProgramError::Usage(format!("{}: {message}; check --shape and --dtype", input.name)));
    }
    input.check_complete(writer.cursor() * plan.config.dtype().size_bytes() as u64)?;
    let (cursor, geometry) = (writer.cursor(), writer.geometry().clone());
    writer.close()?;
    let elapsed = started.elapsed();
    drop(writer);
    progress.finish();
    let verified = match arguments.verify {
        true => Some(verify::verify(sink.root(), &plan.config, &geometry, cursor, checksums.finish())?),
        false => None,
    };
    Report::new(&plan, &geometry, cursor, elapsed, sink.root(), verified)
}

impl Input {
    /// Reads to the end and counts, for a message.
    fn drain(&mut self, buffer: &mut [u8]) -> Result<u64, ProgramError> {
        let mut bytes = 0;
        loop {
            match self.source.read(buffer).map_err(|error| ProgramError::io(&self.name, error))? {
                0 => return Ok(bytes),
                length => bytes += length as u64,
            }
        }
    }
}
