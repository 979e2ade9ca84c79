//! Each codec against its reference library, and the worst case of each.

use super::Codec;
use crate::config::{BloscCompressor, BloscShuffle, CodecConfig};
use crate::error::Error;

const CODECS: [CodecConfig; 7] = [
    CodecConfig::None,
    CodecConfig::Zstd { level: 3 },
    CodecConfig::Zstd { level: 0 },
    CodecConfig::Lz4 { level: 1 },
    CodecConfig::Lz4 { level: 9 },
    CodecConfig::Blosc { compressor: BloscCompressor::Lz4, level: 5, shuffle: BloscShuffle::Byte },
    CodecConfig::Blosc { compressor: BloscCompressor::Zstd, level: 5, shuffle: BloscShuffle::Bit },
];

fn random(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let step = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state as u8
    };
    (0..bytes).map(|_| step(&mut state)).collect()
}

fn ramp(bytes: usize) -> Vec<u8> {
    (0..bytes / 2).flat_map(|index| ((index / 7) as u16).to_le_bytes()).chain((bytes % 2 == 1).then_some(9)).collect()
}

fn stored(config: CodecConfig, chunk: &[u8], element_bytes: usize) -> Vec<u8> {
    let codec = Codec::new(config, chunk.len(), element_bytes);
    let mut context = codec.context().unwrap();
    let mut output = vec![0; codec.chunk_bytes_max()];
    let first = context.compress(chunk, &mut output).unwrap();
    let bytes = output[..first].to_vec();
    assert_eq!(context.compress(chunk, &mut output).unwrap(), first, "a kept context compresses the same way twice");
    assert_eq!(output[..first], bytes);
    bytes
}

#[test]
fn every_codec_returns_what_it_was_given_and_stays_within_its_bound() {
    for config in CODECS {
        for chunk in [random(32_768), ramp(32_768), vec![0; 4096], random(15), ramp(1)] {
            let codec = Codec::new(config, chunk.len(), 1);
            let bytes = stored(config, &chunk, 1);
            assert!(bytes.len() <= codec.chunk_bytes_max(), "{config}: {} B", bytes.len());
            let mut output = vec![0xAA; chunk.len()];
            codec.decompress(&bytes, &mut output).unwrap();
            assert_eq!(output, chunk, "{config}");
        }
    }
}

#[test]
fn a_damaged_or_wrongly_sized_chunk_is_refused() {
    for config in CODECS {
        let chunk = ramp(4096);
        let codec = Codec::new(config, chunk.len(), 2);
        let bytes = stored(config, &chunk, 2);
        let mut short = vec![0; 4094];
        assert!(matches!(codec.decompress(&bytes, &mut short), Err(Error::InvalidInput { .. })), "{config}");
        let mut whole = vec![0; 4096];
        assert!(
            matches!(codec.decompress(&bytes[..bytes.len() / 2], &mut whole), Err(Error::InvalidInput { .. })),
            "{config}"
        );
        assert!(matches!(codec.decompress(&[], &mut whole), Err(Error::InvalidInput { .. })), "{config}");
    }
}

#[test]
fn the_level_changes_the_size() {
    let chunk: Vec<u8> = random(512).iter().cycle().take(262_144).zip(ramp(262_144)).map(|(a, b)| a & 15 ^ b).collect();
    let zstd = |level| stored(CodecConfig::Zstd { level }, &chunk, 2).len();
    assert_ne!(zstd(1), zstd(19));
    let lz4 = |level| stored(CodecConfig::Lz4 { level }, &chunk, 2).len();
    assert!(lz4(12) < lz4(1), "{} against {}", lz4(12), lz4(1));
}

#[test]
fn zstd_frames_have_a_content_size_and_no_checksum() {
    let bytes = stored(CodecConfig::Zstd { level: 3 }, &ramp(4096), 2);
    assert_eq!(bytes[..4], [0x28, 0xB5, 0x2F, 0xFD], "the frame's magic number");
    // Frame header descriptor of RFC 8878: bit 5 single segment, bits 6 and 7 content size, bit 2 checksum.
    assert!(bytes[4] & 0b1110_0000 != 0, "no content size: {:08b}", bytes[4]);
    assert_eq!(bytes[4] & 0b100, 0, "a checksum: {:08b}", bytes[4]);
    assert_eq!(zstd::zstd_safe::get_frame_content_size(&bytes).unwrap(), Some(4096));
}

#[test]
fn blosc_headers_say_what_the_metadata_says() {
    for (config, flags, format) in [(CODECS[5], 0b001, 1), (CODECS[6], 0b100, 4)] {
        let bytes = stored(config, &ramp(65_536), 2);
        assert_eq!(bytes[2] & 0b101, flags, "{config}: shuffle flags");
        assert_eq!(bytes[2] >> 5, format, "{config}: compressor format");
        assert_eq!(bytes[3], 2, "{config}: type size");
    }
}
