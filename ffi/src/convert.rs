//! Numbers of C as the runtime's enumerations.

use crate::error::Error;
use crate::kernel::prewire_core_kind;
use prewire::{CoreKind, DataType};

/// The element type with this number.
#[inline]
pub(crate) fn data_type(number: u32) -> Result<DataType, Error> {
    u8::try_from(number).ok().and_then(DataType::from_index).ok_or_else(|| unknown("data type", number))
}

/// The kind of core, none for either.
pub(crate) fn core_kind(number: u32) -> Result<Option<CoreKind>, Error> {
    match number {
        _ if number == prewire_core_kind::Any as u32 => Ok(None),
        _ if number == prewire_core_kind::Cube as u32 => Ok(Some(CoreKind::Cube)),
        _ if number == prewire_core_kind::Vector as u32 => Ok(Some(CoreKind::Vector)),
        _ => Err(unknown("kind of core", number)),
    }
}

#[cold]
pub(crate) fn unknown(what: &str, number: u32) -> Error {
    Error::argument(format_args!("{number} is no {what} of this library"))
}
