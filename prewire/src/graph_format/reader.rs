//! Reading a file line by line, each line checked against the header and against the lines before it.

use super::header::{self, Counts, Parsed};
use super::model::{Event, Header, RecordedGraph, TaskKind, TaskRecord};
use super::{FormatError, MAX_LINE_BYTES, event};
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::id::RingIndex;
use prewire_runtime_core::task::MAX_SCOPE_DEPTH;
use prewire_runtime_core::tensor::{ArgumentTag, DataType};
use serde_json::Value;
use std::io::{BufRead, Read};

/// Streams a file: the header is read at construction, the events by iteration.
///
/// After an error the iteration ends.
#[derive(Debug)]
pub struct Reader<R> {
    lines: Lines<R>,
    header: Header,
    data_types: Vec<DataType>,
    announced: Counts,
    state: State,
    done: bool,
}

/// What the lines so far add up to.
#[derive(Debug, Default)]
struct State {
    tasks: u64,
    scopes: u64,
    edges: u64,
    /// The open scopes, outermost first: whether each is manual.
    open: Vec<bool>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// If the file is empty, cannot be read, or its first line is no header of a version that is known.
    pub fn new(input: R) -> Result<Self, FormatError> {
        let mut lines = Lines { input, line: 0, buffer: Vec::new() };
        let Some(value) = lines.next_value()? else {
            return Err(lines.wrong("file", "it is empty; a recorded graph begins with a header"));
        };
        let Parsed { header, data_types, counts } = header::parse(&value, lines.line)?;
        Ok(Reader { lines, header, data_types, announced: counts, state: State::default(), done: false })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    fn next_event(&mut self) -> Result<Option<Event>, FormatError> {
        let Some(value) = self.lines.next_value()? else {
            self.check_end()?;
            return Ok(None);
        };
        let event = event::parse(&value, self.lines.line, &self.data_types)?;
        self.check(&event)?;
        Ok(Some(event))
    }

    fn check(&mut self, event: &Event) -> Result<(), FormatError> {
        let state = &mut self.state;
        match event {
            Event::ScopeBegin { manual } => {
                if !manual && state.open.last() == Some(&true) {
                    return Err(self.lines.wrong("mode", "an automatic scope (0) cannot be inside a manual one"));
                }
                // The runtime's own outermost scope is not listed and counts.
                if state.open.len() + 1 >= MAX_SCOPE_DEPTH {
                    return Err(self.lines.wrong("scope", format!("scopes nest {MAX_SCOPE_DEPTH} deep at most")));
                }
                state.open.push(*manual);
                state.scopes += 1;
            }
            Event::ScopeEnd => {
                if state.open.pop().is_none() {
                    return Err(self.lines.wrong("scope", "an end without a beginning"));
                }
            }
            Event::Task(task) => {
                check_task(&self.lines, &self.header, state, task)?;
                state.tasks += 1;
                state.edges += task.edges.len() as u64;
            }
        }
        Ok(())
    }

    fn check_end(&self) -> Result<(), FormatError> {
        let state = &self.state;
        if !state.open.is_empty() {
            return Err(self.lines.wrong("file", format!("it ends with {} scopes open", state.open.len())));
        }
        let counts = [
            ("tasks", self.announced.tasks, state.tasks),
            ("scopes", self.announced.scopes, state.scopes),
            ("edges", self.announced.edges, state.edges),
        ];
        for (what, announced, found) in counts {
            if announced.is_some_and(|announced| announced != found) {
                let announced = announced.unwrap_or_default();
                let problem =
                    format!("it ends after {found} {what} and the header announces {announced}; is it cut off?");
                return Err(self.lines.wrong("file", problem));
            }
        }
        Ok(())
    }
}

fn check_task<R: BufRead>(
    lines: &Lines<R>,
    header: &Header,
    state: &State,
    task: &TaskRecord,
) -> Result<(), FormatError> {
    let wrong = |field: String, problem: String| Err(lines.wrong(field, problem));
    if u64::from(task.index) != state.tasks {
        return wrong(
            "index".into(),
            format!("{}; tasks are numbered in order and this is {}", task.index, state.tasks),
        );
    }
    let ring = RingIndex::of_depth(state.open.len());
    if task.ring != ring.0 {
        let depth = state.open.len();
        return wrong("ring".into(), format!("{}; {depth} open scopes mean ring {}", task.ring, ring.0));
    }
    check_kernels(lines, header, task)?;
    for (number, argument) in task.arguments.iter().enumerate() {
        let field = |name: &str| format!("arguments[{number}].{name}");
        let Some(buffer) = header.buffers.get(argument.buffer as usize) else {
            let listed = header.buffers.len();
            return wrong(field("buffer"), format!("buffer {} is none of the {listed} listed", argument.buffer));
        };
        if task.kind == TaskKind::Allocation && argument.tag != ArgumentTag::Output {
            return wrong(field("tag"), format!("{} in an allocation, which has outputs only (1)", argument.tag as u8));
        }
        let own = buffer.producer == Some(task.index);
        if (argument.tag == ArgumentTag::Output) != own {
            let owner = buffer.producer.map_or("external memory".to_owned(), |task| format!("task {task}"));
            let problem =
                format!("buffer {} belongs to {owner}; exactly a task's outputs (tag 1) belong to it", argument.buffer);
            return wrong(field("buffer"), problem);
        }
        if buffer.producer.is_some_and(|producer| producer > task.index) {
            return wrong(field("buffer"), format!("buffer {} is allocated by a later task", argument.buffer));
        }
        if argument.tag == ArgumentTag::Output && (argument.start != 0 || !argument.layout.is_contiguous()) {
            return wrong(field("start"), "an output begins at 0 and is row-major".into());
        }
        let end = (argument.start.saturating_add(argument.layout.extent()))
            .saturating_mul(argument.layout.data_type().bytes());
        if end > buffer.bytes {
            return wrong(field("shape"), format!("it reaches to byte {end} of a buffer of {}", buffer.bytes));
        }
    }
    let earlier = |producer: u32| u64::from(producer) < state.tasks;
    for (number, dependency) in task.dependencies.iter().enumerate() {
        if !earlier(dependency.task) {
            return wrong(format!("dependencies[{number}].task"), format!("{} is no earlier task", dependency.task));
        }
    }
    for (number, edge) in task.edges.iter().enumerate() {
        if !earlier(edge.producer) {
            return wrong(format!("edges[{number}].producer"), format!("{} is no earlier task", edge.producer));
        }
        if edge.argument.is_some_and(|argument| usize::from(argument) >= task.arguments.len()) {
            let has = task.arguments.len();
            return wrong(format!("edges[{number}].argument"), format!("the task has {has} arguments"));
        }
    }
    if let Some(predicate) = &task.predicate {
        let Some(buffer) = header.buffers.get(predicate.buffer as usize) else {
            return wrong("predicate.buffer".into(), format!("buffer {} is not listed", predicate.buffer));
        };
        let element = predicate.start.saturating_add(u64::from(predicate.indices.last().copied().unwrap_or(0)));
        if element.saturating_add(1).saturating_mul(predicate.data_type.bytes()) > buffer.bytes {
            return wrong(
                "predicate.indices".into(),
                format!("element {element} lies past a buffer of {} bytes", buffer.bytes),
            );
        }
        if buffer.producer.is_some_and(|producer| !earlier(producer)) {
            return wrong("predicate.buffer".into(), format!("buffer {} is of no earlier task", predicate.buffer));
        }
    }
    Ok(())
}

fn check_kernels<R: BufRead>(lines: &Lines<R>, header: &Header, task: &TaskRecord) -> Result<(), FormatError> {
    let named = task.kernels.iter().flatten().count();
    match task.kind {
        TaskKind::Kernel if named == 0 => return Err(lines.wrong("kernels", "none, in a task of kind \"K\"")),
        TaskKind::Dummy | TaskKind::Allocation if named > 0 => {
            return Err(lines.wrong("kernels", "some, in a task that runs none"));
        }
        _ => {}
    }
    for (part, kernel) in task.kernels.iter().enumerate() {
        let Some(id) = kernel else { continue };
        let field = format!("kernels[{part}]");
        let Some(record) = header.kernels.get(id) else {
            return Err(lines.wrong(field, format!("kernel {id} is not in the header")));
        };
        let wanted = if part == 0 { CoreKind::Cube } else { CoreKind::Vector };
        if record.kind != wanted {
            let problem = format!("kernel {id} is for {} cores and stands at {}", record.kind.name(), wanted.name());
            return Err(lines.wrong(field, problem));
        }
    }
    Ok(())
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Event, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.next_event().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

impl RecordedGraph {
    /// Reads a whole file.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(input: impl BufRead) -> Result<RecordedGraph, FormatError> {
        let mut reader = Reader::new(input)?;
        let events = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
        Ok(RecordedGraph { header: reader.header, events })
    }
}

/// Lines of bounded length, numbered from 1.
#[derive(Debug)]
struct Lines<R> {
    input: R,
    line: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The next line that is not blank.
    fn next_value(&mut self) -> Result<Option<Value>, FormatError> {
        loop {
            self.buffer.clear();
            self.line += 1;
            let line = self.line;
            let read = self.input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|error| FormatError::Io { line, error })?;
            if read == 0 {
                return Ok(None);
            }
            if read as u64 == MAX_LINE_BYTES && self.buffer.last() != Some(&b'\n') {
                return Err(self.wrong("line", format!("longer than {MAX_LINE_BYTES} bytes")));
            }
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return serde_json::from_slice(&self.buffer).map(Some).map_err(|error| FormatError::Json { line, error });
        }
    }

    fn wrong(&self, field: impl Into<String>, problem: impl Into<String>) -> FormatError {
        FormatError::Field { line: self.line, field: field.into(), problem: problem.into() }
    }
}
