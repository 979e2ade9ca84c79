//! Hashing by multiplication, as Knuth describes it: the upper bits of a product with an odd constant near 2^64 / golden ratio.

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Adds a word to a hash.
#[inline]
pub(super) fn fold(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(29) ^ word).wrapping_mul(ODD)
}

/// The bucket of a word in a table of `1 << bits` buckets, `bits >= 1`.
#[inline]
pub(super) fn bucket_of(word: u64, bits: u32) -> usize {
    bucket_of_hash(fold(0, word), bits)
}

/// The bucket of what [`fold`] gave.
#[inline]
pub(super) fn bucket_of_hash(hash: u64, bits: u32) -> usize {
    (hash >> (64 - bits)) as usize
}

/// The size, as a power of two, of a table whose chains stay short with `items` in it.
pub(super) fn bucket_bits(items: usize) -> u32 {
    (items.max(8) * 2).next_power_of_two().trailing_zeros()
}
