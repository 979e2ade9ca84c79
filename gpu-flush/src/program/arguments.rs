//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use lexopt::ValueExt;

use super::ProgramError;
use crate::config::{BloscCompressor, BloscShuffle, CodecConfig, ReduceMethod};
use crate::dtype::DataType;

/// What `--help` prints.
pub const HELP: &str = "\
prewire zarr INPUT OUTPUT [options]

Writes an array as a sharded Zarr v3 store, with an OME-NGFF pyramid if wanted, in fixed memory.

INPUT is a .npy file, a file of raw little-endian elements, or - for standard input (a .npy stream, or raw elements when --shape is given).
OUTPUT is the folder of the store.

Input:
  --shape N,N,...       extents of raw elements; 0 first takes as many frames as come
  --dtype TYPE          type of raw elements: uint8 to uint64, int8 to int64, float16 to float64
  --dimensions a,b,...  names of the dimensions; the default depends on their number (t,y,x for three)

Layout:
  --chunk N,N,...       extents of a chunk; chosen when not given
  --shard N,N,...       extents of a shard, a multiple of the chunk in each dimension; chosen when not given
  --codec NAME          zstd (default), lz4, blosc-zstd, blosc-lz4 or none
  --level N             compression level; the default depends on the codec
  --shuffle NAME        none, byte (default) or bit, for blosc

Pyramid:
  --pyramid             halve every dimension but the first from level to level
  --downsample a,b,...  halve these dimensions; the first one too if it is named
  --reduce METHOD       mean (default), min, max, median, max-suppressed or min-suppressed
  --append-reduce M     mean (default), min or max, for the first dimension
  --levels N            at most N levels, full resolution included
  --scale X,X,...       length of one step of each dimension
  --unit a,b,...        its unit; an empty one for none

Running:
  --memory SIZE         memory for all buffers, such as 512M or 2G
  --threads N           worker threads; the default is the cores the process may use
  --direct              bypass the page cache
  --durable             have each shard on the disk before it becomes visible
  --overwrite           replace a store that is there
  --verify              read everything back and compare
  --quiet               no progress
  -h, --help            this text
";

/// What to do.
#[derive(Debug)]
pub(super) enum Command {
    Help,
    Write(Box<Arguments>),
}

/// The options of a write.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) input: PathBuf,
    pub(super) output: PathBuf,
    pub(super) shape: Option<Vec<u64>>,
    pub(super) dtype: Option<DataType>,
    pub(super) dimensions: Option<Vec<String>>,
    pub(super) chunk: Option<Vec<u64>>,
    pub(super) shard: Option<Vec<u64>>,
    pub(super) codec: CodecConfig,
    pub(super) pyramid: bool,
    pub(super) downsample: Vec<String>,
    pub(super) reduce: ReduceMethod,
    pub(super) append_reduce: ReduceMethod,
    pub(super) levels: u32,
    pub(super) scale: Option<Vec<f64>>,
    pub(super) unit: Option<Vec<String>>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) threads: Option<usize>,
    pub(super) direct: bool,
    pub(super) durable: bool,
    pub(super) overwrite: bool,
    pub(super) verify: bool,
    pub(super) quiet: bool,
}

impl Arguments {
    pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, ProgramError> {
        use lexopt::Arg::{Long, Short, Value};
        let mut parser = lexopt::Parser::from_args(arguments);
        let mut parsed = Arguments::default();
        let (mut codec, mut level, mut shuffle) = ("zstd".to_owned(), None, BloscShuffle::Byte);
        let mut places: Vec<PathBuf> = Vec::new();
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(Command::Help),
                Long("shape") => parsed.shape = Some(list("--shape", &parser.value()?.string()?)?),
                Long("dtype") => parsed.dtype = Some(parser.value()?.string()?.parse()?),
                Long("dimensions") => parsed.dimensions = Some(names(&parser.value()?.string()?)),
                Long("chunk") => parsed.chunk = Some(list("--chunk", &parser.value()?.string()?)?),
                Long("shard") => parsed.shard = Some(list("--shard", &parser.value()?.string()?)?),
                Long("codec") => codec = parser.value()?.string()?,
                Long("level") => level = Some(number("--level", &parser.value()?.string()?)?),
                Long("shuffle") => {
                    shuffle = match parser.value()?.string()?.as_str() {
                        "none" => BloscShuffle::None,
                        "byte" => BloscShuffle::Byte,
                        "bit" => BloscShuffle::Bit,
                        other => return Err(unknown("--shuffle", other, "none, byte or bit")),
                    };
                }
                Long("pyramid") => parsed.pyramid = true,
                Long("downsample") => parsed.downsample = names(&parser.value()?.string()?),
                Long("reduce") => parsed.reduce = parser.value()?.string()?.parse()?,
                Long("append-reduce") => parsed.append_reduce = parser.value()?.string()?.parse()?,
                Long("levels") => parsed.levels = number("--levels", &parser.value()?.string()?)?,
                Long("scale") => parsed.scale = Some(list("--scale", &parser.value()?.string()?)?),
                Long("unit") => parsed.unit = Some(names(&parser.value()?.string()?)),
                Long("memory") => parsed.memory_bytes = Some(size(&parser.value()?.string()?)?),
                Long("threads") => parsed.threads = Some(number("--threads", &parser.value()?.string()?)?),
                Long("direct") => parsed.direct = true,
                Long("durable") => parsed.durable = true,
                Long("overwrite") => parsed.overwrite = true,
                Long("verify") => parsed.verify = true,
                Long("quiet") => parsed.quiet = true,
                Value(place) => places.push(place.into()),
                other => return Err(other.unexpected().into()),
            }
        }
        let [input, output] = <[PathBuf; 2]>::try_from(places).map_err(|places| {
            ProgramError::Usage(format!(
                "{} places given; 'zarr' needs an input, or - for standard input, and the folder of the store",
                places.len()
            ))
        })?;
        parsed.codec = codec_of(&codec, level, shuffle)?;
        Ok(Command::Write(Box::new(Arguments { input, output, ..parsed })))
    }
}

/// The codec by name; each library's own default where no level is given.
fn codec_of(name: &str, level: Option<i32>, shuffle: BloscShuffle) -> Result<CodecConfig, ProgramError> {
    let blosc = |compressor| CodecConfig::Blosc { compressor, level: level.unwrap_or(5), shuffle };
    match name {
        "none" if level.is_some() => Err(ProgramError::Usage("--codec none has no --level".into())),
        "none" => Ok(CodecConfig::None),
        "zstd" => Ok(CodecConfig::Zstd { level: level.unwrap_or(3) }),
        "lz4" => Ok(CodecConfig::Lz4 { level: level.unwrap_or(1) }),
        "blosc-zstd" => Ok(blosc(BloscCompressor::Zstd)),
        "blosc-lz4" => Ok(blosc(BloscCompressor::Lz4)),
        other => Err(unknown("--codec", other, "zstd, lz4, blosc-zstd, blosc-lz4 or none")),
    }
}

fn unknown(option: &str, value: &str, allowed: &str) -> ProgramError {
    ProgramError::Usage(format!("{option} {value:?} is unknown; use {allowed}"))
}

fn number<T: FromStr>(option: &str, text: &str) -> Result<T, ProgramError> {
    text.trim().parse().map_err(|_| ProgramError::Usage(format!("{option}: {text:?} is no number that fits")))
}

fn list<T: FromStr>(option: &str, text: &str) -> Result<Vec<T>, ProgramError> {
    text.split(',').map(|part| number(option, part)).collect()
}

fn names(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_owned()).collect()
}

/// A number of bytes with an optional K, M, G or T, each a power of 1024.
fn size(text: &str) -> Result<u64, ProgramError> {
    let trimmed = text.trim().trim_end_matches(['B', 'b']).trim_end_matches(['i', 'I']);
    let (digits, shift) = match trimmed.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => (&trimmed[..at], "KMGT".find(unit.to_ascii_uppercase())),
        _ => (trimmed, None),
    };
    let shift = match (digits.len() < trimmed.len(), shift) {
        (false, _) => 0,
        (true, Some(index)) => 10 * (index as u32 + 1),
        (true, None) => return Err(ProgramError::Usage(format!("--memory: {text:?} has no unit of K, M, G or T"))),
    };
    let value: u64 = number("--memory", digits)?;
    value.checked_mul(1 << shift).ok_or_else(|| ProgramError::Usage(format!("--memory: {text:?} is too large")))
}
