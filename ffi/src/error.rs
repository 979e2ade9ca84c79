//! From an error to a status and a text, and the end of every panic.

use crate::status::prewire_status;
use prewire::{BufferError, BuildError, RegisterError, RunError, SubmitError, TensorError};
use prewire_gpu_flush::Error as FlushError;
use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a call gave nothing. Boxed, so that a call that gives something costs nothing for it.
#[derive(Debug)]
pub(crate) struct Error(Box<Said>);

/// What an error says.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: prewire_status,
    pub(crate) text: String,
}

impl std::ops::Deref for Error {
    type Target = Said;

    fn deref(&self) -> &Said {
        &self.0
    }
}

impl Error {
    #[cold]
    pub(crate) fn new(status: prewire_status, text: impl Into<String>) -> Self {
        Error(Box::new(Said { status, text: text.into() }))
    }

    /// A refusal for an argument.
    #[cold]
    pub(crate) fn argument(text: impl std::fmt::Display) -> Self {
        Error::new(prewire_status::InvalidArguments, format!("invalid arguments (code 5): {text}"))
    }
}

thread_local! {
    /// The text of the last call on this thread that failed.
    static LAST: RefCell<CString> = RefCell::new(CString::default());
}

/// Runs the body of an exported function: what it returns becomes a status, an error's text the thread's last, and a panic goes no further.
#[inline]
pub(crate) fn guard(body: impl FnOnce() -> Result<(), Error>) -> prewire_status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => prewire_status::Ok,
        Ok(Err(error)) => remember(error),
        Err(panic) => remember(panicked(&*panic)),
    }
}

/// As [`guard`], for a function that returns something else where nothing goes wrong.
pub(crate) fn guard_or<T>(otherwise: T, body: impl FnOnce() -> Result<T, Error>) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            remember(error);
            otherwise
        }
        Err(panic) => {
            remember(panicked(&*panic));
            otherwise
        }
    }
}

/// What a panic says.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message");
    Error::new(prewire_status::Panic, format!("the library panicked: {text}"))
}

#[cold]
pub(crate) fn remember(error: Error) -> prewire_status {
    let Said { status, text } = *error.0;
    let mut text = text.into_bytes();
    text.retain(|byte| *byte != 0);
    let text = CString::new(text).unwrap_or_default();
    LAST.with(|last| last.replace(text));
    status
}

/// The text of the last call on this thread that failed: what was wrong, where, the value, and what would be right. Empty if none has. Calls that succeed leave it
/// as it is. The text belongs to the library and is valid until the next call on this thread that fails, or the thread's end. Any thread may call it.
#[unsafe(no_mangle)]
pub extern "C" fn prewire_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

impl From<SubmitError> for Error {
    #[cold]
    fn from(error: SubmitError) -> Self {
        let status = match &error {
            SubmitError::Refused(_) => prewire_status::InvalidArguments,
            SubmitError::Fatal(fatal) => fatal.code().into(),
            SubmitError::DataLost(_) => prewire_status::DataLost,
        };
        Error::new(status, error.to_string())
    }
}

impl From<&RunError> for Error {
    fn from(error: &RunError) -> Self {
        let status = match error {
            RunError::Fatal(fatal) => fatal.code().into(),
            RunError::KernelFailed { .. } => prewire_status::KernelFailed,
            RunError::NotStarted { .. } => prewire_status::NotStarted,
            // Refusals, and whatever kind of run error is added.
            _ => prewire_status::InvalidArguments,
        };
        Error::new(status, error.to_string())
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        let status = match &error {
            BuildError::Setting(_) | BuildError::Clusters { .. } => prewire_status::InvalidSetting,
            BuildError::Threads { .. } => prewire_status::InvalidArguments,
            BuildError::OutOfMemory(_) => prewire_status::OutOfMemory,
            _ => prewire_status::BuildFailed,
        };
        Error::new(status, error.to_string())
    }
}

impl From<BufferError> for Error {
    fn from(error: BufferError) -> Self {
        let status = match &error {
            BufferError::OutOfMemory(_) => prewire_status::OutOfMemory,
            BufferError::Busy(_) => prewire_status::Busy,
            _ => return Error::argument(error),
        };
        Error::new(status, error.to_string())
    }
}

impl From<RegisterError> for Error {
    fn from(error: RegisterError) -> Self {
        Error::new(prewire_status::RegistrationFailed, error.to_string())
    }
}

impl From<TensorError> for Error {
    #[cold]
    fn from(error: TensorError) -> Self {
        Error::argument(error)
    }
}

impl From<FlushError> for Error {
    fn from(error: FlushError) -> Self {
        let status = match &error {
            FlushError::InvalidConfig { .. } => prewire_status::FlushInvalidConfig,
            FlushError::InvalidInput { .. } => prewire_status::FlushInvalidInput,
            FlushError::SinkFailed { .. } => prewire_status::FlushSinkFailed,
            FlushError::Broken { .. } => prewire_status::FlushBroken,
            FlushError::DeviceFailed { .. } => prewire_status::FlushDeviceFailed,
            FlushError::DeviceUnavailable { .. } => prewire_status::FlushDeviceUnavailable,
            FlushError::CodecUnavailable { .. } => prewire_status::FlushCodecUnavailable,
            FlushError::LevelUnsupported { .. } => prewire_status::FlushLevelUnsupported,
            FlushError::NotFlushable { .. } => prewire_status::FlushNotFlushable,
            FlushError::AlreadyExists { .. } => prewire_status::FlushAlreadyExists,
            FlushError::OutOfMemory { .. } => prewire_status::FlushOutOfMemory,
            // The enumeration may grow; a kind without a number of its own is not hidden behind a wrong one.
            _ => prewire_status::Panic,
        };
        Error::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;
    use std::sync::Arc;

    fn last() -> String {
        // SAFETY: the text is valid until the next failing call on this thread.
        unsafe { CStr::from_ptr(prewire_last_error()) }.to_string_lossy().into_owned()
    }

    /// Every kind of error of a writer has a number of its own in the header.
    #[test]
    fn a_writers_errors_have_one_number_each() {
        let text = String::new;
        let sink = FlushError::SinkFailed { key: text(), reason: text(), os_error: None };
        let errors = [
            (FlushError::InvalidConfig { field: text(), reason: text() }, 400),
            (FlushError::InvalidInput { reason: text() }, 401),
            (sink.clone(), 402),
            (FlushError::Broken { cause: Arc::new(sink) }, 403),
            (FlushError::DeviceFailed { operation: text(), reason: text() }, 404),
            (FlushError::DeviceUnavailable { device: text(), reason: text() }, 405),
            (FlushError::CodecUnavailable { codec: text(), reason: text() }, 406),
            (FlushError::LevelUnsupported { codec: text(), level: 0, default: 0, device: text() }, 407),
            (FlushError::NotFlushable { departing: 0, missing_elements: 0 }, 408),
            (FlushError::AlreadyExists { path: text() }, 409),
            (
                FlushError::OutOfMemory {
                    need_bytes: 0,
                    limit_bytes: 0,
                    smallest_bytes: None,
                    largest: text(),
                    largest_bytes: 0,
                },
                410,
            ),
        ];
        for (error, number) in errors {
            let said = error.to_string();
            let ours = Error::from(error);
            assert_eq!((ours.status as u32, ours.text.as_str()), (number, said.as_str()));
        }
    }

    #[test]
    fn a_panic_becomes_a_status_and_a_text_of_this_thread() {
        let status = guard(|| panic!("out of {}", "cheese"));
        assert_eq!(status, prewire_status::Panic);
        assert!(last().contains("out of cheese"), "{}", last());
        std::thread::spawn(|| assert_eq!(last(), "")).join().unwrap();
        assert_eq!(guard(|| Ok(())), prewire_status::Ok);
        assert!(last().contains("out of cheese"), "a success leaves the text as it was");
        assert_eq!(guard(|| Err(Error::argument("a NUL\0 within"))), prewire_status::InvalidArguments);
        assert_eq!(last(), "invalid arguments (code 5): a NUL within");
        assert_eq!(guard_or(7, || panic!("static")), 7);
        assert!(last().contains("static"));
    }
}
