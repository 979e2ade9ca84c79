//! zarrs reads everything, inside the Rust tests.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use prewire_gpu_flush::shard::ShardIndex;
use prewire_gpu_flush::sink::FileOptions;
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType};
use zarrs::array::{Array, ArrayBytes, ArrayError};
use zarrs::filesystem::FilesystemStore;

use super::cases::{CODECS, elements, ragged, to_folder};
use super::environment::folder;
use crate::support::{dimension, words};

/// Every element in C order, as zarrs reads them. It checks the index's checksum of each shard it opens.
fn by_zarrs(path: &Path) -> Result<Vec<u8>, ArrayError> {
    let array = Array::open(Arc::new(FilesystemStore::new(path).unwrap()), "/").unwrap();
    let bytes: ArrayBytes<'_> = array.retrieve_array_subset(&array.subset_all())?;
    Ok(bytes.into_fixed().unwrap().into_owned())
}

/// Every shard file below a folder, and that its index and checksum are whole.
fn check_indexes(path: &Path, chunks: usize) -> usize {
    let mut checked = 0;
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            checked += check_indexes(&entry.path(), chunks);
        } else if entry.file_name() != "zarr.json" {
            ShardIndex::parse(&fs::read(entry.path()).unwrap(), chunks).unwrap();
            checked += 1;
        }
    }
    checked
}

/// Claims FLUSH-142.
#[test]
fn zarrs_reads_every_array_bit_for_bit() {
    let root = folder("zarrs");
    for dtype in DataType::ALL {
        for (index, codec) in CODECS.into_iter().enumerate() {
            let path = root.join(format!("{dtype}-{index}.zarr"));
            let input = elements(dtype, 7 * 50 * 70);
            to_folder(&ragged(dtype, codec), &path, FileOptions::default(), &input);
            assert!(by_zarrs(&path).unwrap() == input, "{dtype} {codec}");
            assert_eq!(check_indexes(&path, 12), 4, "{dtype} {codec}");
        }
    }
    let ranks: [&[(&str, u64, u64)]; 4] = [
        &[("x", 1000, 64)],
        &[("y", 33, 8), ("x", 17, 8)],
        &[("a", 2, 1), ("b", 3, 2), ("c", 2, 2), ("d", 5, 3), ("e", 6, 4), ("f", 7, 5)],
        &[("t", 5, 1), ("c", 3, 1), ("y", 20, 16), ("x", 20, 16)],
    ];
    for dimensions in ranks {
        for codec in CODECS {
            let list = dimensions.iter().map(|&(name, size, chunk)| dimension(name, size, chunk)).collect();
            let config = ArrayConfig::builder(DataType::U16).dimensions(list).codec(codec).build().unwrap();
            let path = root.join(format!("rank-{}-{}.zarr", dimensions.len(), codec.name()));
            let count: u64 = dimensions.iter().map(|dimension| dimension.1).product();
            let input = words((0..count).map(|value| value as u16));
            to_folder(&config, &path, FileOptions::default(), &input);
            assert!(by_zarrs(&path).unwrap() == input, "{dimensions:?} {codec}");
            let chunks: u64 = dimensions.iter().map(|dimension| dimension.1.div_ceil(dimension.2)).product();
            assert_eq!(check_indexes(&path, chunks as usize), 1);
        }
    }
}

/// The store of the worked example, and copies of it with one bit of its index or checksum flipped. Returns the copies' names.
pub(super) fn damaged_stores(root: &Path) -> Vec<String> {
    let dimensions = [("t", 4, 2), ("y", 4, 2), ("x", 6, 3)];
    let config = ArrayConfig::builder(DataType::U16)
        .dimensions(dimensions.map(|(name, size, chunk)| dimension(name, size, chunk).chunks_per_shard(2)).into())
        .codec(CodecConfig::None)
        .build()
        .unwrap();
    let good = root.join("good.zarr");
    to_folder(&config, &good, FileOptions::default(), &words(0..96));
    let document = fs::read(good.join("zarr.json")).unwrap();
    let shard = fs::read(good.join("c/0/0/0")).unwrap();
    assert_eq!(shard.len(), 324);
    // One bit in each of the eight entries, at a place of its own, and one in the checksum.
    let bits = (0..8).map(|entry| (192 + 16 * entry) * 8 + 13 * entry).chain([320 * 8 + 5]);
    bits.enumerate()
        .map(|(number, bit)| {
            let name = format!("damaged-{number}.zarr");
            let folder = root.join(&name).join("c/0/0");
            fs::create_dir_all(&folder).unwrap();
            fs::write(root.join(&name).join("zarr.json"), &document).unwrap();
            let mut damaged = shard.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            fs::write(folder.join("0"), damaged).unwrap();
            name
        })
        .collect()
}

/// Part of FLUSH-143: zarrs; the other two readers are in the Python tests.
#[test]
fn zarrs_refuses_a_damaged_index() {
    let root = folder("damaged-zarrs");
    let damaged = damaged_stores(&root);
    assert_eq!(damaged.len(), 9);
    assert!(by_zarrs(&root.join("good.zarr")).unwrap() == words(0..96));
    for name in damaged {
        let error = by_zarrs(&root.join(&name)).expect_err(&name).to_string().to_lowercase();
        assert!(error.contains("checksum"), "{name}: {error}");
    }
}
