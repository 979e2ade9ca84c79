//! Chunks as the codecs' own libraries read them.

use std::sync::Arc;

use prewire_gpu_flush::config::{BloscCompressor, BloscShuffle};
use prewire_gpu_flush::device::{Description, Device, SteppedDevice};
use prewire_gpu_flush::geometry::BatchLayout;
use prewire_gpu_flush::shard::ShardIndex;
use prewire_gpu_flush::sink::MemorySink;
use prewire_gpu_flush::writer::{WriterBuilder, memory_estimate};
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType, EngineConfig, Error};

use crate::support::{Objects, chunk, create, dimension, document, engine, read, stored, words, write};

const BLOSC_LZ4: CodecConfig =
    CodecConfig::Blosc { compressor: BloscCompressor::Lz4, level: 5, shuffle: BloscShuffle::Byte };
const BLOSC_ZSTD: CodecConfig =
    CodecConfig::Blosc { compressor: BloscCompressor::Zstd, level: 5, shuffle: BloscShuffle::Bit };

fn frames(t: u64, side: u64, chunk: u64, codec: CodecConfig) -> ArrayConfig {
    ArrayConfig::builder(DataType::U16)
        .dimensions(vec![dimension("t", t, 1), dimension("y", side, chunk), dimension("x", side, chunk)])
        .codec(codec)
        .build()
        .unwrap()
}

/// Random words that repeat from run to run.
fn random(count: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let step = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 20) as u16
    };
    words((0..count).map(|_| step(&mut state)))
}

/// The stored bytes of every chunk of every shard, with the shard's key.
fn stored_chunks(objects: &Objects, chunks_per_shard: usize) -> Vec<&[u8]> {
    let shards = objects.iter().filter(|(key, _)| key.contains("c/"));
    shards
        .flat_map(|(_, file)| {
            let entries = ShardIndex::parse(file, chunks_per_shard).unwrap().into_iter().flatten();
            entries.map(|(offset, length)| &file[offset as usize..(offset + length) as usize])
        })
        .collect()
}

/// Claims FLUSH-019.
#[test]
fn every_codec_stores_the_chunk_whatever_the_threads() {
    let mut input = Vec::with_capacity(16 * 512 * 512 * 2);
    for z in 0..16u16 {
        input.extend(words((0..512u16).flat_map(|y| (0..512u16).map(move |x| z ^ y ^ x))));
    }
    let codecs =
        [CodecConfig::None, CodecConfig::Zstd { level: 3 }, BLOSC_LZ4, BLOSC_ZSTD, CodecConfig::Lz4 { level: 1 }];
    for codec in codecs {
        let config = frames(16, 512, 128, codec);
        let stores = [1, 3].map(|threads| {
            let sink = MemorySink::new();
            write(&config, engine(4).threads_max(threads), Arc::new(sink.clone()), &input, 1 << 20);
            sink.objects()
        });
        assert!(stores[0] == stores[1], "{codec}: threads change the bytes");
        for (t, y, x) in [(0, 0, 0), (7, 3, 1), (15, 3, 3)] {
            let expected =
                (0..128).flat_map(|row| (0..128).map(move |column| t ^ (y * 128 + row) ^ (x * 128 + column)));
            let at = [u64::from(t), u64::from(y), u64::from(x)];
            assert!(chunk(&stores[0], "", &at) == words(expected), "{codec}: chunk {at:?}");
        }
        assert!(read(&stores[0], "").bytes == input, "{codec}");
    }
}

/// Claims FLUSH-020 (the CPU device; the alignment is given to the geometry that the device would ask for).
#[test]
fn a_chunk_decodes_to_its_own_length() {
    let dimensions = vec![dimension("t", 0, 1), dimension("y", 6, 3), dimension("x", 10, 5)];
    for codec in [CodecConfig::None, CodecConfig::Zstd { level: 1 }, CodecConfig::Lz4 { level: 1 }, BLOSC_LZ4] {
        let config = ArrayConfig::builder(DataType::U8).dimensions(dimensions.clone()).codec(codec).build().unwrap();
        let padded = prewire_gpu_flush::geometry::ArrayGeometry::new(&config, 8).unwrap();
        assert_eq!((padded.chunk_bytes, padded.chunk_stride_bytes), (15, 16));
        let input: Vec<u8> = (0..180).collect();
        let objects = stored(&config, 2, &input);
        for bytes in stored_chunks(&objects, 4) {
            let length = match codec {
                CodecConfig::Zstd { .. } => zstd::decode_all(bytes).unwrap().len(),
                CodecConfig::Lz4 { .. } => u32::from_le_bytes(*bytes.first_chunk().unwrap()) as usize,
                // The uncompressed length in the Blosc 1 header.
                CodecConfig::Blosc { .. } => u32::from_le_bytes(*bytes[4..].first_chunk().unwrap()) as usize,
                CodecConfig::None => bytes.len(),
            };
            assert_eq!(length, 15, "{codec}");
        }
        assert_eq!(read(&objects, "").bytes, input, "{codec}");
    }
}

/// The CPU device honours levels. The row about levels also asks for a refusal by a device without them, which no test claims yet.
#[test]
fn the_level_is_used_and_recorded() {
    let input: Vec<u8> = words((0..512 * 256u32).map(|index| ((index / 3 * 7) ^ (index >> 5)) as u16 & 0x3FF));
    let mut sizes = Vec::new();
    for level in [1, 19] {
        let config = frames(1, 512, 512, CodecConfig::Zstd { level });
        let config = config.to_builder();
        let dimensions = vec![dimension("t", 1, 1), dimension("y", 256, 256), dimension("x", 512, 512)];
        let config = config.dimensions(dimensions).build().unwrap();
        let objects = stored(&config, 1, &input);
        let recorded = &document(&objects, "")["codecs"][0]["configuration"]["codecs"][1];
        assert_eq!(
            *recorded,
            serde_json::json!({"name": "zstd", "configuration": {"level": level, "checksum": false}})
        );
        sizes.push(stored_chunks(&objects, 1)[0].len());
    }
    assert_ne!(sizes[0], sizes[1]);
}

/// Claims FLUSH-022.
#[test]
fn headers_and_documents_agree() {
    let input = words((0..4 * 64 * 64u32).map(|index| (index / 5) as u16));
    let zstd = stored(&frames(4, 64, 32, CodecConfig::Zstd { level: 3 }), 2, &input);
    for bytes in stored_chunks(&zstd, 16) {
        assert_eq!(zstd::zstd_safe::get_frame_content_size(bytes).unwrap(), Some(2048));
        // Frame header descriptor of RFC 8878: bit 2 is the checksum flag.
        assert_eq!(bytes[4] & 0b100, 0);
    }
    assert_eq!(
        document(&zstd, "")["codecs"][0]["configuration"]["codecs"][1]["configuration"],
        serde_json::json!({"level": 3, "checksum": false})
    );
    let compressors = [(BloscCompressor::Lz4, 1), (BloscCompressor::Zstd, 4)];
    let shuffles = [
        (BloscShuffle::None, 0b000, "noshuffle"),
        (BloscShuffle::Byte, 0b001, "shuffle"),
        (BloscShuffle::Bit, 0b100, "bitshuffle"),
    ];
    for (compressor, format) in compressors {
        for (shuffle, flags, name) in shuffles {
            let codec = CodecConfig::Blosc { compressor, level: 7, shuffle };
            let objects = stored(&frames(4, 64, 32, codec), 2, &input);
            let setting = document(&objects, "")["codecs"][0]["configuration"]["codecs"][1]["configuration"].clone();
            let expected = serde_json::json!({
                "cname": compressor.name(), "clevel": 7, "shuffle": name, "typesize": 2, "blocksize": 0,
            });
            assert_eq!(setting, expected);
            // The Blosc 1 header: flags in byte 2 with the format in its upper three bits, the type size in byte 3.
            let header = stored_chunks(&objects, 16)[0];
            assert_eq!((header[2] & 0b101, header[2] >> 5, header[3]), (flags, format, 2), "{codec}");
        }
    }
    // The level is not in the header; that it was used shows in the bytes.
    let at = |level| {
        let codec = CodecConfig::Blosc { compressor: BloscCompressor::Zstd, level, shuffle: BloscShuffle::Byte };
        stored_chunks(&stored(&frames(4, 64, 32, codec), 2, &input), 16).iter().map(|bytes| bytes.len()).sum::<usize>()
    };
    assert_ne!(at(1), at(9));
}

/// Claims FLUSH-023.
#[test]
fn incompressible_input_fits_and_returns() {
    let input = random(64 * 512 * 512);
    for codec in [CodecConfig::Zstd { level: 1 }, BLOSC_LZ4] {
        let config = frames(64, 512, 128, codec);
        let sink = MemorySink::new();
        let mut writer = create(&config, engine(8), Arc::new(sink.clone()));
        let bound = prewire_gpu_flush::codec::Codec::new(codec, 32_768, 2).chunk_bytes_max();
        let layout = BatchLayout::new(writer.geometry(), 8, bound, 0);
        assert!(layout.data_bytes(writer.geometry(), 8) >= 8 * 16 * bound as u64, "the slot holds the worst batch");
        assert!(writer.append(&input).unwrap().rest.is_empty());
        writer.close().unwrap();
        let objects = sink.objects();
        let chunks = stored_chunks(&objects, 64 * 16);
        assert_eq!(chunks.len(), 64 * 16);
        assert!(chunks.iter().all(|bytes| bytes.len() <= bound), "{codec}");
        assert!(chunks.iter().any(|bytes| bytes.len() > 32_768), "{codec}: the chunks did compress");
        assert!(read(&objects, "").bytes == input, "{codec}");
    }
}

/// Claims FLUSH-024.
#[test]
fn codec_none_needs_no_compressed_buffer() {
    let estimate = |codec| memory_estimate(&frames(4, 64, 32, codec), &engine(2), 0).unwrap();
    let none = estimate(CodecConfig::None);
    for name in ["compressed", "compressed_sizes", "codec_workspace"] {
        assert_eq!(none.bytes_of(name), 0, "{name}");
    }
    assert!(estimate(CodecConfig::Zstd { level: 1 }).bytes_of("compressed") > 0);
    let sink = Arc::new(MemorySink::new());
    let writer = create(&frames(4, 64, 32, CodecConfig::None), engine(2), sink);
    assert_eq!(writer.memory().bytes_of("compressed") + writer.memory().bytes_of("codec_workspace"), 0);
}

#[test]
fn levels_out_of_range_are_refused_before_anything_is_written() {
    for (codec, level) in [(CodecConfig::Zstd { level: 23 }, "23"), (CodecConfig::Lz4 { level: 13 }, "13")] {
        let refused = frames(1, 8, 8, CodecConfig::None).to_builder().codec(codec).build();
        let Err(Error::InvalidConfig { field, reason }) = refused else { panic!("{codec} was accepted") };
        assert!(field == "codec.level" && reason.contains(level), "{reason}");
    }
    assert!(EngineConfig::default().validate().is_ok());
}

/// Counts warnings of this crate in the thread it is set for.
#[derive(Default)]
struct Warnings(std::sync::Mutex<Vec<String>>);

impl tracing::field::Visit for &Warnings {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN && metadata.target().starts_with("prewire_gpu_flush")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut { self });
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Claims FLUSH-025; that zarr-python reads it is in the interop tests.
#[test]
fn lz4_is_written_as_numcodecs_reads_it() {
    let input = words((0..4 * 64 * 64u32).map(|index| (index / 9) as u16));
    let warned = |codec| {
        let warnings = Arc::new(Warnings::default());
        let dispatch = tracing::Dispatch::from(Arc::clone(&warnings) as Arc<dyn tracing::Subscriber + Send + Sync>);
        let objects = tracing::dispatcher::with_default(&dispatch, || stored(&frames(4, 64, 32, codec), 2, &input));
        let messages = warnings.0.lock().unwrap().clone();
        (objects, messages)
    };
    for level in [1, 9] {
        let (objects, messages) = warned(CodecConfig::Lz4 { level });
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert!(messages[0].contains("tensorstore") && messages[0].contains("zarrs"), "{messages:?}");
        let codec = &document(&objects, "")["codecs"][0]["configuration"]["codecs"][1];
        assert_eq!(codec["name"], "numcodecs.lz4");
        for (index, bytes) in stored_chunks(&objects, 16).into_iter().enumerate() {
            let (size, block) = bytes.split_first_chunk::<4>().unwrap();
            assert_eq!(u32::from_le_bytes(*size), 2048);
            assert_eq!(lz4_flex::block::decompress(block, 2048).unwrap().len(), 2048, "chunk {index}");
        }
        assert!(read(&objects, "").bytes == input);
    }
    assert!(warned(CodecConfig::Zstd { level: 1 }).1.is_empty());
}

/// Claims FLUSH-021.
#[test]
fn a_level_is_honoured_or_refused() {
    // Runs of words that repeat at a distance: a patient search finds more of them.
    let noise = random(64 << 10);
    let input: Vec<u8> = (0..128 << 10)
        .flat_map(|at: usize| {
            let from = (at / 24 * 7919 + at % 24) % (noise.len() / 2) * 2;
            [noise[from] & 0x1F, noise[from + 1] & 0x03]
        })
        .collect();
    let config = |level| {
        let dimensions = vec![dimension("t", 1, 1), dimension("y", 256, 256), dimension("x", 512, 512)];
        ArrayConfig::builder(DataType::U16).dimensions(dimensions).codec(CodecConfig::Zstd { level }).build().unwrap()
    };
    let recorded = |objects: &Objects| {
        let codec = &document(objects, "")["codecs"][0]["configuration"]["codecs"][1];
        assert_eq!(codec["name"], "zstd");
        codec["configuration"]["level"].as_i64().unwrap()
    };
    let sizes = [1, 19].map(|level| {
        let objects = stored(&config(level), 1, &input);
        assert_eq!(recorded(&objects), i64::from(level));
        assert_eq!(read(&objects, "").bytes, input);
        stored_chunks(&objects, 1)[0].len()
    });
    assert!(input.len() == 256 << 10 && sizes[1] < sizes[0], "levels 1 and 19 give {sizes:?} B");

    // A device whose codecs have one way to compress takes the default and nothing else.
    let description = SteppedDevice::new(1).description();
    let on_such_a_device = |level, sink: &MemorySink| {
        let device = SteppedDevice::with(Description { codec_levels: false, ..description }, 1);
        WriterBuilder::new()
            .array(config(level), Arc::new(sink.clone()))
            .engine(engine(1))
            .device(Arc::new(device))
            .build()
    };
    let sink = MemorySink::new();
    let error = on_such_a_device(19, &sink).unwrap_err();
    assert!(
        matches!(&error, Error::LevelUnsupported { codec, level: 19, default: 0, device }
            if codec == "zstd" && device == "stepped"),
        "{error}"
    );
    assert!(["zstd", "19", "stepped", "level 0"].iter().all(|part| error.to_string().contains(part)), "{error}");
    assert!(sink.objects().is_empty(), "a refused writer leaves no file");
    let mut writer = on_such_a_device(0, &sink).unwrap();
    assert!(writer.append(&input).unwrap().rest.is_empty());
    writer.close().unwrap();
    assert_eq!((recorded(&sink.objects()), read(&sink.objects(), "").bytes), (0, input));
}
