//! Indices of stored shards: whatever the bytes say, an entry that is handed on lies inside its shard, and a right index reads back as it was written.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use prewire_gpu_flush::shard::ShardIndex;

fuzz_target!(|bytes: &[u8]| {
    for chunks in [0, 1, bytes.len() / 16, bytes.len()] {
        if let Ok(entries) = ShardIndex::parse(bytes, chunks) {
            check(&entries, (bytes.len() - ShardIndex::encoded_bytes(chunks)) as u64);
        }
    }
    let _ = made(&mut Unstructured::new(bytes));
});

/// An index with a right checksum, whose entries may be anything.
fn made(source: &mut Unstructured<'_>) -> Result<()> {
    let data_bytes = u64::from(source.arbitrary::<u16>()?);
    let entry = |source: &mut Unstructured<'_>| {
        // Now small and now anywhere: most of the latter lie outside.
        let small = source.arbitrary::<bool>()?;
        let number = |source: &mut Unstructured<'_>| {
            if small { Ok(source.arbitrary::<u16>()?.into()) } else { source.arbitrary::<u64>() }
        };
        Ok(source.arbitrary::<bool>()?.then_some((number(source)?, number(source)?)))
    };
    let chunks = source.int_in_range(0..=6)?;
    let entries: Vec<Option<(u64, u64)>> = (0..chunks).map(|_| entry(source)).collect::<Result<_>>()?;
    let mut index = ShardIndex::new(entries.len());
    for (slot, (offset, length)) in entries.iter().enumerate().filter_map(|(slot, entry)| Some((slot, (*entry)?))) {
        index.set(slot, offset, length);
    }
    let mut bytes = Vec::new();
    index.encode_into(&mut bytes);
    let inside = |(offset, length): (u64, u64)| u128::from(offset) + u128::from(length) <= u128::from(data_bytes);
    // Both halves all ones is how a missing chunk is written.
    let entries: Vec<_> =
        entries.into_iter().map(|entry| entry.filter(|entry| *entry != (u64::MAX, u64::MAX))).collect();
    match ShardIndex::parse_index(&bytes, entries.len(), data_bytes) {
        Ok(read) => {
            check(&read, data_bytes);
            assert_eq!(read, entries);
        }
        Err(error) => assert!(entries.iter().flatten().any(|entry| !inside(*entry)), "refused, though right: {error}"),
    }
    // One bit that differs is found by the checksum.
    let at = source.int_in_range(0..=bytes.len() - 1)?;
    bytes[at] ^= 1 << source.int_in_range(0..=7)?;
    assert!(ShardIndex::parse_index(&bytes, entries.len(), data_bytes).is_err(), "damage at byte {at}");
    Ok(())
}

fn check(entries: &[Option<(u64, u64)>], data_bytes: u64) {
    for (offset, length) in entries.iter().flatten() {
        let end = u128::from(*offset) + u128::from(*length);
        assert!(end <= u128::from(data_bytes), "{length} B at {offset} of {data_bytes}");
    }
}
