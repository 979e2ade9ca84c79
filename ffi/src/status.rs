//! What every call returns.

use prewire::ErrorCode;
use std::ffi::{CStr, c_char};

/// What a call returns: 0, or what went wrong. The numbers below 200 are the runtime's own error codes, the same in every language; numbers never change their
/// meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum prewire_status {
    /// Everything is as it should be.
    Ok = 0,
    /// One scope holds more tasks with outputs than its ring has slots.
    ScopeDeadlock = 1,
    /// The ring's heap cannot make room for the outputs.
    HeapDeadlock = 2,
    /// The ring's task window cannot advance.
    WindowDeadlock = 3,
    /// The ring's edge pool cannot make room for the dependencies.
    EdgePoolOverflow = 4,
    /// A call was refused for its arguments, a NULL among them: nothing was done.
    InvalidArguments = 5,
    /// A gang needs more cores than the chip has.
    GangTooLarge = 7,
    /// A data access waited longer than its budget.
    DataWaitTimeout = 8,
    /// The orchestration ended the run.
    ExplicitFatal = 9,
    /// The dependency index cannot make room.
    IndexOverflow = 11,
    /// The watchdog found that the run makes no progress.
    SchedulerTimeout = 100,
    /// A kernel registered a condition that cannot be watched.
    DeferredInvalid = 101,
    /// A kernel registered more conditions than one dispatch may.
    DeferredOverflow = 102,
    /// A kernel's registration of conditions is malformed.
    DeferredMalformed = 103,
    /// A kernel failed; the rest of the graph completed. The report has the kernel's own code and text.
    KernelFailed = 200,
    /// The data asked for was to be written by a task that failed.
    DataLost = 201,
    /// The run did not begin: a core does not answer, or is still inside a kernel of an earlier run.
    NotStarted = 202,
    /// Memory cannot be had.
    OutOfMemory = 203,
    /// A setting, of the configuration or of the environment, has a value that it cannot have.
    InvalidSetting = 204,
    /// A kernel, or the library it is in, cannot be registered.
    RegistrationFailed = 205,
    /// A file cannot be read or written, or is not what it should be.
    FileFailed = 206,
    /// The chip did not come up, or a thread could not be started.
    BuildFailed = 207,
    /// The object has nothing of what was asked for, such as a trace that was not recorded.
    NotAvailable = 208,
    /// The handle is NULL, of another kind, or of an object that was destroyed.
    BadHandle = 300,
    /// The object belongs to another thread.
    WrongThread = 301,
    /// Another call, on this thread or another, is using the object.
    Busy = 302,
    /// The library panicked. The object may be used again, but please report it.
    Panic = 303,
    /// A writer's configuration cannot be built. Nothing was allocated and no file was made.
    FlushInvalidConfig = 400,
    /// The data or a value given to a writer cannot be used. Nothing was consumed.
    FlushInvalidInput = 401,
    /// The storage refused or lost a write.
    FlushSinkFailed = 402,
    /// An earlier failure latched the array; nothing more is accepted.
    FlushBroken = 403,
    /// The device failed an operation.
    FlushDeviceFailed = 404,
    /// The device asked for is not there.
    FlushDeviceUnavailable = 405,
    /// The codec asked for is not there.
    FlushCodecUnavailable = 406,
    /// The codec cannot compress at the level asked for on this device.
    FlushLevelUnsupported = 407,
    /// Another array was chosen in the middle of an epoch.
    FlushNotFlushable = 408,
    /// There is a store already.
    FlushAlreadyExists = 409,
    /// The memory budget does not hold the smallest pipeline, or an allocation failed.
    FlushOutOfMemory = 410,
    /// Not an error: the array is full, or was flushed, and took only as many bytes as the call reports.
    FlushFinished = 450,
}

/// Every status with its name.
pub(crate) const ALL: [(prewire_status, &CStr); 40] = [
    (prewire_status::Ok, c"PREWIRE_STATUS_OK"),
    (prewire_status::ScopeDeadlock, c"PREWIRE_STATUS_SCOPE_DEADLOCK"),
    (prewire_status::HeapDeadlock, c"PREWIRE_STATUS_HEAP_DEADLOCK"),
    (prewire_status::WindowDeadlock, c"PREWIRE_STATUS_WINDOW_DEADLOCK"),
    (prewire_status::EdgePoolOverflow, c"PREWIRE_STATUS_EDGE_POOL_OVERFLOW"),
    (prewire_status::InvalidArguments, c"PREWIRE_STATUS_INVALID_ARGUMENTS"),
    (prewire_status::GangTooLarge, c"PREWIRE_STATUS_GANG_TOO_LARGE"),
    (prewire_status::DataWaitTimeout, c"PREWIRE_STATUS_DATA_WAIT_TIMEOUT"),
    (prewire_status::ExplicitFatal, c"PREWIRE_STATUS_EXPLICIT_FATAL"),
    (prewire_status::IndexOverflow, c"PREWIRE_STATUS_INDEX_OVERFLOW"),
    (prewire_status::SchedulerTimeout, c"PREWIRE_STATUS_SCHEDULER_TIMEOUT"),
    (prewire_status::DeferredInvalid, c"PREWIRE_STATUS_DEFERRED_INVALID"),
    (prewire_status::DeferredOverflow, c"PREWIRE_STATUS_DEFERRED_OVERFLOW"),
    (prewire_status::DeferredMalformed, c"PREWIRE_STATUS_DEFERRED_MALFORMED"),
    (prewire_status::KernelFailed, c"PREWIRE_STATUS_KERNEL_FAILED"),
    (prewire_status::DataLost, c"PREWIRE_STATUS_DATA_LOST"),
    (prewire_status::NotStarted, c"PREWIRE_STATUS_NOT_STARTED"),
    (prewire_status::OutOfMemory, c"PREWIRE_STATUS_OUT_OF_MEMORY"),
    (prewire_status::InvalidSetting, c"PREWIRE_STATUS_INVALID_SETTING"),
    (prewire_status::RegistrationFailed, c"PREWIRE_STATUS_REGISTRATION_FAILED"),
    (prewire_status::FileFailed, c"PREWIRE_STATUS_FILE_FAILED"),
    (prewire_status::BuildFailed, c"PREWIRE_STATUS_BUILD_FAILED"),
    (prewire_status::NotAvailable, c"PREWIRE_STATUS_NOT_AVAILABLE"),
    (prewire_status::BadHandle, c"PREWIRE_STATUS_BAD_HANDLE"),
    (prewire_status::WrongThread, c"PREWIRE_STATUS_WRONG_THREAD"),
    (prewire_status::Busy, c"PREWIRE_STATUS_BUSY"),
    (prewire_status::Panic, c"PREWIRE_STATUS_PANIC"),
    (prewire_status::FlushInvalidConfig, c"PREWIRE_STATUS_FLUSH_INVALID_CONFIG"),
    (prewire_status::FlushInvalidInput, c"PREWIRE_STATUS_FLUSH_INVALID_INPUT"),
    (prewire_status::FlushSinkFailed, c"PREWIRE_STATUS_FLUSH_SINK_FAILED"),
    (prewire_status::FlushBroken, c"PREWIRE_STATUS_FLUSH_BROKEN"),
    (prewire_status::FlushDeviceFailed, c"PREWIRE_STATUS_FLUSH_DEVICE_FAILED"),
    (prewire_status::FlushDeviceUnavailable, c"PREWIRE_STATUS_FLUSH_DEVICE_UNAVAILABLE"),
    (prewire_status::FlushCodecUnavailable, c"PREWIRE_STATUS_FLUSH_CODEC_UNAVAILABLE"),
    (prewire_status::FlushLevelUnsupported, c"PREWIRE_STATUS_FLUSH_LEVEL_UNSUPPORTED"),
    (prewire_status::FlushNotFlushable, c"PREWIRE_STATUS_FLUSH_NOT_FLUSHABLE"),
    (prewire_status::FlushAlreadyExists, c"PREWIRE_STATUS_FLUSH_ALREADY_EXISTS"),
    (prewire_status::FlushOutOfMemory, c"PREWIRE_STATUS_FLUSH_OUT_OF_MEMORY"),
    (prewire_status::FlushFinished, c"PREWIRE_STATUS_FLUSH_FINISHED"),
    // What a number means that is none of these.
    (prewire_status::Panic, c"unknown status"),
];

impl From<ErrorCode> for prewire_status {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::ScopeDeadlock => prewire_status::ScopeDeadlock,
            ErrorCode::HeapDeadlock => prewire_status::HeapDeadlock,
            ErrorCode::WindowDeadlock => prewire_status::WindowDeadlock,
            ErrorCode::EdgePoolOverflow => prewire_status::EdgePoolOverflow,
            ErrorCode::InvalidArguments => prewire_status::InvalidArguments,
            ErrorCode::GangTooLarge => prewire_status::GangTooLarge,
            ErrorCode::DataWaitTimeout => prewire_status::DataWaitTimeout,
            ErrorCode::ExplicitFatal => prewire_status::ExplicitFatal,
            ErrorCode::IndexOverflow => prewire_status::IndexOverflow,
            ErrorCode::SchedulerTimeout => prewire_status::SchedulerTimeout,
            ErrorCode::DeferredInvalid => prewire_status::DeferredInvalid,
            ErrorCode::DeferredOverflow => prewire_status::DeferredOverflow,
            ErrorCode::DeferredMalformed => prewire_status::DeferredMalformed,
        }
    }
}

/// The name of a status, such as "PREWIRE_STATUS_BAD_HANDLE"; "unknown status" for any other number. The text is static and belongs to the library. Any thread
/// may call it.
#[unsafe(no_mangle)]
pub extern "C" fn prewire_status_name(status: u32) -> *const c_char {
    let (_, unknown) = ALL[ALL.len() - 1];
    let known = ALL[..ALL.len() - 1].iter().find(|(each, _)| *each as u32 == status);
    known.map_or(unknown, |(_, name)| name).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtimes_codes_keep_their_numbers() {
        for code in ErrorCode::ALL {
            assert_eq!(prewire_status::from(code) as u32, u32::from(code.number()));
        }
    }

    #[test]
    fn every_status_has_a_number_and_a_name_of_its_own() {
        let known = &ALL[..ALL.len() - 1];
        for (index, (status, name)) in known.iter().enumerate() {
            assert!(known[..index].iter().all(|(other, text)| other != status && text != name), "{name:?}");
            let words = format!("{status:?}");
            let spelt: String = words
                .chars()
                .flat_map(|c| if c.is_uppercase() { vec!['_', c] } else { vec![c.to_ascii_uppercase()] })
                .collect();
            assert_eq!(name.to_str().unwrap(), format!("PREWIRE_{}{spelt}", "STATUS"));
        }
    }
}
