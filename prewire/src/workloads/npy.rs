//! Matrices as NumPy's `.npy` files (format versions 1 to 3): little-endian f32 or f64 in C order, read strictly.

use super::matrix::Matrix;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The largest matrix that is read, in elements: 4 GiB of f32.
const MOST_ELEMENTS: u64 = 1 << 30;

/// Reads a two-dimensional array of finite numbers.
///
/// # Errors
/// A sentence that names the file, what is wrong and what would be right.
pub(super) fn read(path: &Path) -> Result<Matrix, String> {
    let wrong = |problem: String| format!("{}: {problem}", path.display());
    let file = File::open(path).map_err(|error| wrong(format!("cannot be opened: {error}")))?;
    parse(BufReader::new(file)).map_err(wrong)
}

fn parse(mut input: impl Read) -> Result<Matrix, String> {
    let mut start = [0; 8];
    input.read_exact(&mut start).map_err(|_| "it is no .npy file: it has fewer than 8 bytes".to_owned())?;
    if &start[..6] != MAGIC {
        return Err("it is no .npy file: it does not begin with \\x93NUMPY; write it with numpy.save".into());
    }
    let length = match start[6] {
        1 => {
            let mut length = [0; 2];
            input.read_exact(&mut length).map_err(|error| format!("the header is cut off: {error}"))?;
            u32::from(u16::from_le_bytes(length))
        }
        2 | 3 => {
            let mut length = [0; 4];
            input.read_exact(&mut length).map_err(|error| format!("the header is cut off: {error}"))?;
            u32::from_le_bytes(length)
        }
        version => return Err(format!("version {version} of the .npy format is not known; versions 1 to 3 are")),
    };
    if length > 1 << 20 {
        return Err(format!("a header of {length} bytes; a matrix needs fewer than 200"));
    }
    let mut header = vec![0; length as usize];
    input.read_exact(&mut header).map_err(|error| format!("the header is cut off: {error}"))?;
    let header = String::from_utf8(header).map_err(|_| "the header is not text".to_owned())?;
    let wide = match quoted(&header, "descr")? {
        "<f4" => false,
        "<f8" => true,
        other => return Err(format!("elements of type {other}; little-endian f32 (<f4) or f64 (<f8) are read")),
    };
    match after(&header, "fortran_order")? {
        rest if rest.starts_with("False") => {}
        _ => return Err("it is in Fortran order; save numpy.ascontiguousarray(matrix)".into()),
    }
    let [rows, columns] = shape(&header)?;
    let bytes = rows * columns * if wide { 8 } else { 4 };
    let mut data = Vec::new();
    input.take(bytes + 1).read_to_end(&mut data).map_err(|error| format!("cannot be read: {error}"))?;
    if data.len() as u64 != bytes {
        let (found, more) = (data.len(), if data.len() as u64 > bytes { "or more " } else { "" });
        return Err(format!("{found} {more}bytes of data; a matrix of {rows} x {columns} has {bytes}"));
    }
    let values: Vec<f32> = if wide {
        data.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().expect("eight bytes")) as f32).collect()
    } else {
        data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes"))).collect()
    };
    let matrix = Matrix { rows: rows as usize, columns: columns as usize, values };
    match matrix.values.iter().position(|value| !value.is_finite()) {
        Some(place) => {
            let (row, column) = (place / matrix.columns, place % matrix.columns);
            Err(format!("element [{row}, {column}] is {}, which is no finite f32", matrix.values[place]))
        }
        None => Ok(matrix),
    }
}

/// What stands behind a key of the header's dictionary.
fn after<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let missing = || format!("the header has no '{key}': {}", header.trim());
    let mut rest = None;
    for quote in ['\'', '"'] {
        rest = rest.or_else(|| header.split_once(&format!("{quote}{key}{quote}")).map(|(_, rest)| rest));
    }
    rest.and_then(|rest| rest.trim_start().strip_prefix(':')).map(str::trim_start).ok_or_else(missing)
}

fn quoted<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let rest = after(header, key)?;
    let quote = rest.chars().next().filter(|quote| ['\'', '"'].contains(quote));
    let text = quote.and_then(|quote| rest[1..].split_once(quote)).map(|(text, _)| text);
    // A structured type is a list and has no quote here.
    text.ok_or_else(|| format!("'{key}' is not one plain type in the header {}", header.trim()))
}

fn shape(header: &str) -> Result<[u64; 2], String> {
    let rest = after(header, "shape")?;
    let inside = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(inside, _)| inside);
    let inside = inside.ok_or_else(|| format!("the header's shape is no tuple: {}", header.trim()))?;
    let lengths: Result<Vec<u64>, _> =
        inside.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect();
    match lengths.as_deref() {
        Ok([rows, columns]) => match rows.checked_mul(*columns) {
            Some(1..=MOST_ELEMENTS) => Ok([*rows, *columns]),
            _ => Err(format!("a shape of ({inside}); a matrix has from 1 to {MOST_ELEMENTS} elements")),
        },
        Ok(other) => Err(format!("{} dimensions; a matrix has 2", other.len())),
        Err(_) => Err(format!("the shape ({inside}) is not made of numbers")),
    }
}

/// Writes a matrix as f32.
///
/// # Errors
/// A sentence that names the file.
pub(super) fn write(path: &Path, matrix: &Matrix) -> Result<(), String> {
    let put = || {
        let mut output = BufWriter::new(File::create(path)?);
        emit(&mut output, matrix)?;
        output.flush()
    };
    put().map_err(|error: std::io::Error| format!("{}: cannot be written: {error}", path.display()))
}

fn emit(output: &mut impl Write, matrix: &Matrix) -> std::io::Result<()> {
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", matrix.rows, matrix.columns);
    // The data begins at a multiple of 64 bytes, behind a line end.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    output.write_all(MAGIC)?;
    output.write_all(&[1, 0])?;
    output.write_all(&(header.len() as u16).to_le_bytes())?;
    output.write_all(header.as_bytes())?;
    matrix.values.iter().try_for_each(|value| output.write_all(&value.to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([version, 0]);
        if version == 1 {
            bytes.extend((header.len() as u16).to_le_bytes());
        } else {
            bytes.extend((header.len() as u32).to_le_bytes());
        }
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn what_is_written_reads_back_and_both_widths_and_all_versions_are_read() {
        let matrix = Matrix::from_fn(3, 5, |row, column| row as f32 * 10.0 + column as f32);
        let mut bytes = Vec::new();
        emit(&mut bytes, &matrix).expect("memory takes everything");
        assert_eq!(bytes.len() % 64, matrix.values.len() * 4 % 64, "the data is aligned");
        assert_eq!(parse(&bytes[..]), Ok(matrix.clone()));
        let wide: Vec<u8> = matrix.values.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
        for version in 1..=3 {
            let header = "{\"shape\": (3, 5), \"fortran_order\": False, \"descr\": \"<f8\"}\n";
            assert_eq!(parse(&file(version, header, &wide)[..]), Ok(matrix.clone()));
        }
    }

    #[test]
    fn whatever_else_is_refused_with_its_reason() {
        let header = |descr: &str, order: &str, shape: &str| {
            format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n")
        };
        let with = |descr: &str, order: &str, shape: &str| file(1, &header(descr, order, shape), &[0; 16]);
        let cases = [
            (b"hello".to_vec(), "fewer than 8 bytes"),
            (b"hello, world".to_vec(), "does not begin with"),
            (file(4, "", &[]), "version 4"),
            (with("'>f4'", "False", "(2, 2)"), "elements of type >f4"),
            (with("'<i8'", "False", "(2, 2)"), "elements of type <i8"),
            (with("[('a', '<f4')]", "False", "(2, 2)"), "not one plain type"),
            (with("'<f4'", "True", "(2, 2)"), "Fortran order"),
            (with("'<f4'", "False", "(4,)"), "1 dimensions; a matrix has 2"),
            (with("'<f4'", "False", "(2, 0)"), "from 1 to"),
            (with("'<f4'", "False", "(4294967296, 4294967296)"), "from 1 to"),
            (with("'<f4'", "False", "(2, x)"), "not made of numbers"),
            (with("'<f4'", "False", "(2, 3)"), "16 bytes of data; a matrix of 2 x 3 has 24"),
            (with("'<f4'", "False", "(1, 3)"), "13 or more bytes of data; a matrix of 1 x 3 has 12"),
            (file(1, "{'descr': '<f4'}", &[]), "no 'fortran_order'"),
            (file(1, &header("'<f4'", "False", "(1, 1)"), &f32::NAN.to_le_bytes()), "element [0, 0] is NaN"),
        ];
        for (bytes, expected) in cases {
            let error = parse(&bytes[..]).expect_err(expected);
            assert!(error.contains(expected), "{error}\n  expected {expected}");
        }
        assert!(read(Path::new("no/such/file.npy")).expect_err("there is none").contains("no/such/file.npy"));
    }
}
