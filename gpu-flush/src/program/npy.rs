//! The header of a .npy file.

use std::io::Read;

use super::ProgramError;
use crate::dtype::DataType;

/// The first bytes of every .npy file.
pub(super) const NPY_MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The longest header we read; NumPy's own default limit is 10 000.
const NPY_HEADER_BYTES_MAX: usize = 1 << 20;

/// What a .npy file says of its array, which lies behind it in C order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpyHeader {
    /// The type of the elements.
    pub dtype: DataType,
    /// Extents, outermost first.
    pub shape: Vec<u64>,
}

impl NpyHeader {
    /// Reads what comes behind the first six bytes of a .npy file; `name` stands in the errors.
    ///
    /// # Errors
    ///
    /// [`ProgramError`] when the source ends early, the header is damaged, or the array is one that we do not read.
    pub fn read(name: &str, source: &mut dyn Read) -> Result<Self, ProgramError> {
        let refused = |reason: String| ProgramError::Input(format!("{name}: {reason}"));
        let mut exactly = |length: usize| {
            let mut bytes = vec![0; length];
            source.read_exact(&mut bytes).map(|()| bytes).map_err(|error| ProgramError::io(name, error))
        };
        let version = exactly(2)?;
        let length = match version[0] {
            1 => usize::from(u16::from_le_bytes(*exactly(2)?.first_chunk().expect("two bytes"))),
            2 | 3 => u32::from_le_bytes(*exactly(4)?.first_chunk().expect("four bytes")) as usize,
            other => return Err(refused(format!("version {other} of the .npy format is unknown"))),
        };
        if length > NPY_HEADER_BYTES_MAX {
            return Err(refused(format!("a .npy header of {length} B is too long")));
        }
        let header = exactly(length)?;
        let header = parse_header(&String::from_utf8_lossy(&header)).map_err(refused)?;
        if header.fortran_order {
            return Err(refused("the array is in Fortran order; save it with numpy.ascontiguousarray".into()));
        }
        if header.descr.starts_with('>') {
            return Err(refused(format!(
                "{:?} is big-endian; save it with .astype(\"<{}\")",
                header.descr,
                &header.descr[1..]
            )));
        }
        // The leading order mark keeps NumPy's u8 (eight bytes) apart from Rust's.
        let dtype: DataType = format!("<{}", header.descr.trim_start_matches(['<', '|', '=']))
            .parse()
            .map_err(|error: crate::error::Error| refused(error.to_string()))?;
        Ok(NpyHeader { dtype, shape: header.shape })
    }
}

#[derive(Debug, PartialEq)]
struct Dictionary {
    descr: String,
    fortran_order: bool,
    shape: Vec<u64>,
}

/// Reads the Python dictionary of a .npy header.
fn parse_header(text: &str) -> Result<Dictionary, String> {
    let value = |key: &str| {
        let at = text.find(&format!("'{key}'")).ok_or_else(|| format!("the .npy header has no {key}: {text:?}"))?;
        let rest = text[at + key.len() + 2..].trim_start();
        rest.strip_prefix(':').map(str::trim_start).ok_or_else(|| format!("the .npy header is damaged at {key}"))
    };
    let descr = value("descr")?;
    let descr = descr.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).map(|(descr, _)| descr.to_owned());
    let descr = descr.ok_or("structured arrays are not supported; save one field")?;
    let order = value("fortran_order")?;
    let shape = value("shape")?;
    let shape =
        shape.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or("the .npy header is damaged at shape")?.0;
    let extents = shape.split(',').map(str::trim).filter(|part| !part.is_empty());
    let shape =
        extents.map(|part| part.trim_end_matches('L').parse().map_err(|_| format!("extent {part:?} is no number")));
    Ok(Dictionary { descr, fortran_order: order.starts_with("True"), shape: shape.collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_every_rank_parse_and_damaged_ones_say_where() {
        let header = parse_header("{'descr': '<u2', 'fortran_order': False, 'shape': (3, 4, 5), }      \n").unwrap();
        assert_eq!(header, Dictionary { descr: "<u2".into(), fortran_order: false, shape: vec![3, 4, 5] });
        assert_eq!(parse_header("{'descr': '|u1', 'fortran_order': True, 'shape': (7,)}").unwrap().shape, [7]);
        assert!(parse_header("{'descr': '|u1', 'fortran_order': False, 'shape': ()}").unwrap().shape.is_empty());
        for (text, place) in [
            ("{'fortran_order': False, 'shape': (1,)}", "descr"),
            ("{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': (1,)}", "structured"),
            ("{'descr': '<u2', 'fortran_order': False, 'shape': 3}", "shape"),
            ("{'descr': '<u2', 'fortran_order': False, 'shape': (x,)}", "\"x\""),
            ("{'descr' '<u2'}", "descr"),
        ] {
            let error = parse_header(text).unwrap_err();
            assert!(error.contains(place), "{text}: {error}");
        }
    }
}
