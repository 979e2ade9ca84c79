//! Where elements come from: a .npy file, raw elements, or a pipe with either.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::ProgramError;
use super::arguments::Arguments;
use super::npy::{NPY_MAGIC, NpyHeader};
use crate::dtype::DataType;

/// An open source of elements.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) source: Box<dyn Read>,
    /// Bytes that are already read and belong to the elements.
    ahead: Vec<u8>,
    pub(super) dtype: DataType,
    /// Extents; the first is 0 when it depends on how much comes.
    pub(super) shape: Vec<u64>,
    /// Bytes to come, where known.
    pub(super) total_bytes: Option<u64>,
}

impl Input {
    pub(super) fn open(arguments: &Arguments) -> Result<Self, ProgramError> {
        let standard = arguments.input == Path::new("-");
        let name = if standard { "standard input".to_owned() } else { arguments.input.display().to_string() };
        let (mut source, length): (Box<dyn Read>, Option<u64>) = if standard {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(&arguments.input).map_err(|error| ProgramError::io(&name, error))?;
            let length = file.metadata().ok().filter(|metadata| metadata.is_file()).map(|metadata| metadata.len());
            (Box::new(file), length)
        };
        let mut ahead = vec![0; NPY_MAGIC.len()];
        let found = fill(&mut source, &mut ahead).map_err(|error| ProgramError::io(&name, error))?;
        ahead.truncate(found);
        if ahead == NPY_MAGIC {
            return Input::npy(name, source, arguments);
        }
        let (Some(shape), Some(dtype)) = (arguments.shape.clone(), arguments.dtype) else {
            return Err(ProgramError::Usage(format!(
                "{name} is no .npy file; give --shape and --dtype for raw elements"
            )));
        };
        let total_bytes = match (bytes_of(&shape, dtype)?, length) {
            (0, length) => length,
            (bytes, Some(length)) if bytes != length => {
                let message = format!("{name} has {length} B, --shape {shape:?} of {dtype} needs {bytes}");
                return Err(ProgramError::Usage(format!("{message}; a first extent of 0 takes what there is")));
            }
            (bytes, _) => Some(bytes),
        };
        Ok(Input { name, source, ahead, dtype, shape, total_bytes })
    }

    fn npy(name: String, mut source: Box<dyn Read>, arguments: &Arguments) -> Result<Self, ProgramError> {
        let header = NpyHeader::read(&name, &mut source)?;
        let refused = |reason: String| ProgramError::Input(format!("{name}: {reason}"));
        let dtype = header.dtype;
        if arguments.dtype.is_some_and(|wanted| wanted != dtype) {
            return Err(refused(format!("the array has type {dtype}; leave --dtype out")));
        }
        let bytes = bytes_of(&header.shape, dtype)?;
        let shape = arguments.shape.clone().unwrap_or_else(|| header.shape.clone());
        if bytes_of(&shape, dtype)? != bytes {
            return Err(refused(format!(
                "the array has shape {:?}, which does not fill --shape {shape:?}",
                header.shape
            )));
        }
        if shape.is_empty() || bytes == 0 {
            return Err(refused(format!("an array of shape {shape:?} has no elements along a dimension to write")));
        }
        Ok(Input { name, source, ahead: Vec::new(), dtype, shape, total_bytes: Some(bytes) })
    }

    /// Fills as much of `buffer` as there is; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ProgramError> {
        let ahead = self.ahead.len();
        buffer[..ahead].copy_from_slice(&self.ahead);
        self.ahead.clear();
        let length =
            fill(&mut self.source, &mut buffer[ahead..]).map_err(|error| ProgramError::io(&self.name, error))?;
        let length = ahead + length;
        let size = self.dtype.size_bytes();
        if !length.is_multiple_of(size) {
            let message = format!("{} ends inside an element of {size} B; check --dtype", self.name);
            return Err(ProgramError::Input(message));
        }
        Ok(length)
    }

    /// Refuses an input that ended early.
    pub(super) fn check_complete(&self, bytes: u64) -> Result<(), ProgramError> {
        match self.total_bytes.filter(|&total| self.shape[0] > 0 && total != bytes) {
            None => Ok(()),
            Some(total) => Err(ProgramError::Input(format!("{} ended after {bytes} of {total} B", self.name))),
        }
    }
}

/// Reads until the buffer is full or the source ends.
fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match source.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

fn bytes_of(shape: &[u64], dtype: DataType) -> Result<u64, ProgramError> {
    let bytes = shape.iter().try_fold(dtype.size_bytes() as u64, |bytes, extent| bytes.checked_mul(*extent));
    bytes.ok_or_else(|| ProgramError::Usage(format!("shape {shape:?} of {dtype} has more than 2^64 B")))
}
