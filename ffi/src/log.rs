//! What the library has to say besides its results, for a callback.

use crate::convert::unknown;
use crate::error::Error;
use std::ffi::{CString, c_char, c_void};
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// How important a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_log_level {
    /// Something is wrong that no call returns.
    Error = 1,
    /// Something may be wrong.
    Warning = 2,
    /// What was chosen, and why.
    Info = 3,
    /// Steps on the way.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

/// Called with a message: a `prewire_log_level`, the part of the library, and one line of text, both the library's and valid during the call. It is called on the thread
/// that called the library, before the library's call returns. It must not unwind, and may call the library, but not with the object whose call is on.
pub type prewire_log_function =
    Option<unsafe extern "C" fn(level: u32, target: *const c_char, message: *const c_char, context: *mut c_void)>;

/// Hands messages to a callback while a call is on.
#[derive(Clone)]
pub(crate) struct Logger(Dispatch);

impl Logger {
    /// A logger, if there is a function.
    pub(crate) fn new(function: prewire_log_function, context: *mut c_void, level: u32) -> Result<Option<Self>, Error> {
        let Some(function) = function else { return Ok(None) };
        let most = match level {
            1 => Level::ERROR,
            2 => Level::WARN,
            3 => Level::INFO,
            4 => Level::DEBUG,
            5 => Level::TRACE,
            level => return Err(unknown("log level", level)),
        };
        Ok(Some(Logger(Dispatch::new(Callback { function, context: context as usize, most }))))
    }

    /// Does something with this logger in place, if there is one.
    pub(crate) fn during<T>(logger: Option<&Logger>, body: impl FnOnce() -> T) -> T {
        match logger {
            Some(Logger(dispatch)) => tracing::dispatcher::with_default(dispatch, body),
            None => body(),
        }
    }
}

struct Callback {
    function: unsafe extern "C" fn(u32, *const c_char, *const c_char, *mut c_void),
    /// An address, so that it may travel between threads.
    context: usize,
    most: Level,
}

impl Subscriber for Callback {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.most
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => prewire_log_level::Error,
            Level::WARN => prewire_log_level::Warning,
            Level::INFO => prewire_log_level::Info,
            Level::DEBUG => prewire_log_level::Debug,
            Level::TRACE => prewire_log_level::Trace,
        };
        let mut line = Line::default();
        event.record(&mut line);
        let text = |text: &str| CString::new(text.replace('\0', "")).unwrap_or_default();
        let (target, message) = (text(metadata.target()), text(&line.0));
        // SAFETY: whoever configured the function vouched for it; the texts are valid during the call.
        unsafe { (self.function)(level as u32, target.as_ptr(), message.as_ptr(), self.context as *mut c_void) };
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event as one line: its message, then its fields.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = if field.name() == "message" {
            let rest = std::mem::take(&mut self.0);
            write!(self.0, "{value:?}{rest}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
        debug_assert!(written.is_ok(), "a text takes everything");
    }
}
