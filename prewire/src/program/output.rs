//! Standard output and standard error. A reader that goes away, as `head` does, ends the program quietly.

use super::exit::Failure;
use std::fmt::{Arguments, Display};
use std::io::{self, BufWriter, StdoutLock, Write};

/// Standard output, buffered.
#[derive(Debug)]
pub(super) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(super) fn new() -> Self {
        Output(BufWriter::new(io::stdout().lock()))
    }

    /// A line of text.
    pub(super) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        writeln!(self.0, "{text}").map_err(failure)
    }

    /// A line made of a name and what it is, in two columns.
    pub(super) fn row(&mut self, name: &str, text: Arguments<'_>) -> Result<(), Failure> {
        self.line(format_args!("{name:<12}{text}"))
    }

    /// Everything that was said so far reaches its reader.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(failure)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What a failed write to standard output means.
pub(super) fn failure(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::Input(format!("standard output cannot be written: {error}")),
    }
}

/// Says something on standard error.
pub(super) fn complain(text: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "{text}")
}
