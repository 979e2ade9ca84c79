//! Little-endian words in byte tables.

pub(crate) fn get_u32(bytes: &[u8], index: usize) -> u32 {
    let at = index * 4;
    bytes[at..at + 4].iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

pub(crate) fn get_u64(bytes: &[u8], index: usize) -> u64 {
    let at = index * 8;
    bytes[at..at + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

pub(crate) fn put_u32(bytes: &mut [u8], index: usize, value: u32) {
    bytes[index * 4..index * 4 + 4].copy_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(bytes: &mut [u8], index: usize, value: u64) {
    bytes[index * 8..index * 8 + 8].copy_from_slice(&value.to_le_bytes());
}
