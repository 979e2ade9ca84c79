//! What is said on the channels: to workers besides tasks, by them, and with the launcher. A number for the kind, then the parts in order, texts with
//! their length before them.

/// A message that is being written.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        let mut written = self.number(text.len() as u64);
        written.0.extend_from_slice(text.as_bytes());
        written
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// A message that is being read.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Reader(message)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let text = self.0.get(..length)?;
        self.0 = &self.0[length..];
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

/// What a worker is commanded to do besides tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Map a shared buffer of so many bytes, whose descriptor comes along.
    Import {
        /// The buffer.
        buffer: u64,
        /// Its size.
        bytes: u64,
    },
    /// Unmap a shared buffer.
    Release {
        /// The buffer.
        buffer: u64,
    },
    /// Load a symbol of a shared library and call it by this number.
    Register {
        /// The number.
        callable: u16,
        /// What reports call it.
        name: String,
        /// The library's path.
        library: String,
        /// The symbol.
        symbol: String,
        /// What the library's content came to where the runtime loaded it.
        digest: u64,
    },
    /// Forget a callable.
    Unregister {
        /// The number.
        callable: u16,
    },
    /// Say what is going on.
    Status,
    /// Make memory of the worker's own; the answer is the number of its address there.
    Allocate {
        /// The buffer that it is.
        buffer: u64,
        /// Its size.
        bytes: u64,
        /// Where it is to be, if that is free.
        near: u64,
    },
}

impl Command {
    /// The number of a command that is answered only if it is refused.
    pub(crate) const UNANSWERED: u64 = 0;

    pub(crate) fn encode(&self, sequence: u64) -> Vec<u8> {
        let writer = |kind: u64| Writer::default().number(kind).number(sequence);
        match self {
            Command::Import { buffer, bytes } => writer(1).number(*buffer).number(*bytes).done(),
            Command::Release { buffer } => writer(2).number(*buffer).done(),
            Command::Register { callable, name, library, symbol, digest } => {
                writer(3).number((*callable).into()).text(name).text(library).text(symbol).number(*digest).done()
            }
            Command::Unregister { callable } => writer(4).number((*callable).into()).done(),
            Command::Status => writer(5).done(),
            Command::Allocate { buffer, bytes, near } => writer(6).number(*buffer).number(*bytes).number(*near).done(),
        }
    }

    pub(crate) fn decode(message: &[u8]) -> Option<(u64, Command)> {
        let mut reader = Reader::new(message);
        let (kind, sequence) = (reader.number()?, reader.number()?);
        let callable = |number: u64| u16::try_from(number).ok();
        let command = match kind {
            1 => Command::Import { buffer: reader.number()?, bytes: reader.number()? },
            2 => Command::Release { buffer: reader.number()? },
            3 => Command::Register {
                callable: callable(reader.number()?)?,
                name: reader.text()?,
                library: reader.text()?,
                symbol: reader.text()?,
                digest: reader.number()?,
            },
            4 => Command::Unregister { callable: callable(reader.number()?)? },
            5 => Command::Status,
            6 => Command::Allocate { buffer: reader.number()?, bytes: reader.number()?, near: reader.number()? },
            _ => return None,
        };
        Some((sequence, command))
    }

    /// What it is called in errors.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Import { .. } => "import a buffer",
            Command::Release { .. } => "release a buffer",
            Command::Register { .. } => "register a library symbol",
            Command::Unregister { .. } => "unregister a callable",
            Command::Status => "say its status",
            Command::Allocate { .. } => "make memory of its own",
        }
    }
}

/// The first bytes of the first message to a worker that is a program of its own: `PWWORKER`.
const GREETING: u64 = u64::from_le_bytes(*b"PWWORKER");

/// What a worker that is a program of its own is told first, besides its descriptors. Where the first three numbers lie is the same in every version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// The version of the wire form that the runtime was built with.
    pub(crate) version: u64,
    /// The hash of the layout.
    pub(crate) layout: u64,
    pub(crate) core: u16,
    pub(crate) id: u32,
    pub(crate) name: String,
    /// How it waits: processor hints, then yields.
    pub(crate) patience: [u32; 2],
}

impl Greeting {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let writer = Writer::default().number(GREETING).number(self.version).number(self.layout);
        let writer = writer.number(self.core.into()).number(self.id.into()).text(&self.name);
        writer.number(self.patience[0].into()).number(self.patience[1].into()).done()
    }

    /// The version and the layout, which can be read whatever they are.
    pub(crate) fn decode_version(message: &[u8]) -> Option<[u64; 2]> {
        let mut reader = Reader::new(message);
        if reader.number()? != GREETING {
            return None;
        }
        Some([reader.number()?, reader.number()?])
    }

    pub(crate) fn decode(message: &[u8]) -> Option<Greeting> {
        let [version, layout] = Greeting::decode_version(message)?;
        let mut reader = Reader::new(&message[24..]);
        let core = u16::try_from(reader.number()?).ok()?;
        let id = u32::try_from(reader.number()?).ok()?;
        let name = reader.text()?;
        let patience = [u32::try_from(reader.number()?).ok()?, u32::try_from(reader.number()?).ok()?];
        Some(Greeting { version, layout, core, id, name, patience })
    }
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerReport {
    /// It can take tasks; with what it takes frames to be.
    Ready {
        /// The version of the wire form.
        version: u64,
        /// The hash of the layout.
        layout: u64,
    },
    /// It cannot.
    Failed {
        /// Why.
        reason: String,
    },
    /// A command was carried out.
    Done {
        /// Which.
        sequence: u64,
        /// What there is to say about it.
        text: String,
    },
    /// A command was not carried out.
    Refused {
        /// Which.
        sequence: u64,
        /// Why.
        reason: String,
    },
}

impl WorkerReport {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let writer = |kind: u64| Writer::default().number(kind);
        match self {
            WorkerReport::Ready { version, layout } => writer(1).number(*version).number(*layout).done(),
            WorkerReport::Failed { reason } => writer(2).text(reason).done(),
            WorkerReport::Done { sequence, text } => writer(3).number(*sequence).text(text).done(),
            WorkerReport::Refused { sequence, reason } => writer(4).number(*sequence).text(reason).done(),
        }
    }

    pub(crate) fn decode(message: &[u8]) -> Option<WorkerReport> {
        let mut reader = Reader::new(message);
        Some(match reader.number()? {
            1 => WorkerReport::Ready { version: reader.number()?, layout: reader.number()? },
            2 => WorkerReport::Failed { reason: reader.text()? },
            3 => WorkerReport::Done { sequence: reader.number()?, text: reader.text()? },
            4 => WorkerReport::Refused { sequence: reader.number()?, reason: reader.text()? },
            _ => return None,
        })
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With a status.
    Status(i32),
    /// By a signal.
    Signal(i32),
    /// Nobody knows how.
    Unknown,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Status(status) => write!(f, "exited with status {status}"),
            Exit::Signal(signal) => write!(f, "was killed by signal {signal}"),
            Exit::Unknown => f.write_str("ended, status unknown"),
        }
    }
}

/// What the launcher says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LauncherReport {
    /// A process was made; its pidfd comes along.
    Started { incarnation: u64, pid: i32 },
    /// A process ended.
    Exited { incarnation: u64, exit: Exit },
}

impl LauncherReport {
    pub(crate) fn encode(self) -> Vec<u8> {
        let writer = |kind: u64, incarnation| Writer::default().number(kind).number(incarnation);
        match self {
            LauncherReport::Started { incarnation, pid } => writer(1, incarnation).number(pid as u64).done(),
            LauncherReport::Exited { incarnation, exit } => {
                let (how, number) = match exit {
                    Exit::Status(status) => (0, status),
                    Exit::Signal(signal) => (1, signal),
                    Exit::Unknown => (2, 0),
                };
                writer(2, incarnation).number(how).number(number as u64).done()
            }
        }
    }

    pub(crate) fn decode(message: &[u8]) -> Option<LauncherReport> {
        let mut reader = Reader::new(message);
        let (kind, incarnation) = (reader.number()?, reader.number()?);
        Some(match kind {
            1 => LauncherReport::Started { incarnation, pid: reader.number()? as i32 },
            2 => {
                let (how, number) = (reader.number()?, reader.number()? as i32);
                let exit = match how {
                    0 => Exit::Status(number),
                    1 => Exit::Signal(number),
                    _ => Exit::Unknown,
                };
                LauncherReport::Exited { incarnation, exit }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_and_anything_else_is_none() {
        let register = Command::Register {
            callable: 9,
            name: "scale".to_owned(),
            library: "/lib/ü.so".to_owned(),
            symbol: "scale".to_owned(),
            digest: 77,
        };
        let commands = [
            Command::Import { buffer: 1, bytes: 2 },
            Command::Release { buffer: 3 },
            register,
            Command::Unregister { callable: 4 },
            Command::Status,
            Command::Allocate { buffer: 6, bytes: 7, near: 8 },
        ];
        for command in commands {
            let message = command.encode(5);
            assert_eq!(Command::decode(&message), Some((5, command)));
            assert!((0..message.len()).all(|length| Command::decode(&message[..length]).is_none()));
        }
        let greeting =
            Greeting { version: 1, layout: 2, core: 3, id: 4, name: "sub worker 4".to_owned(), patience: [5, 6] };
        let message = greeting.encode();
        assert_eq!(Greeting::decode(&message), Some(greeting));
        assert!((0..message.len()).all(|length| Greeting::decode(&message[..length]).is_none()));
        let reports = [
            WorkerReport::Ready { version: 1, layout: 2 },
            WorkerReport::Failed { reason: "no device 3".to_owned() },
            WorkerReport::Done { sequence: 1, text: String::new() },
            WorkerReport::Refused { sequence: 2, reason: "boom".to_owned() },
        ];
        for report in reports {
            assert_eq!(WorkerReport::decode(&report.encode()), Some(report));
        }
        for exit in [Exit::Status(7), Exit::Signal(9), Exit::Unknown] {
            let report = LauncherReport::Exited { incarnation: 3, exit };
            assert_eq!(LauncherReport::decode(&report.encode()), Some(report));
        }
        assert_eq!(WorkerReport::decode(&[9; 8]), None);
    }
}
