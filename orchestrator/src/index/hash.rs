//! Hashing by folded multiplication: the two halves of a 128-bit product are joined, so that every bit of the word counts and starts at
//! regular distances, which is what tiles have, spread at least as well as random numbers. (A plain product, as Knuth describes it,
//! clusters on some distances.)

const FACTOR: u64 = 0xd6e8_feb8_6659_fd93;

#[cfg(test)]
thread_local! {
    /// Whether everything hashes alike on this thread, so that a test sees what is left to comparing.
    pub(super) static CONSTANT: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Adds a word to a hash.
#[inline]
pub(super) fn fold(hash: u64, word: u64) -> u64 {
    #[cfg(test)]
    if CONSTANT.get() {
        return 0;
    }
    let product = u128::from(hash.rotate_left(29) ^ word) * u128::from(FACTOR);
    (product >> 64) as u64 ^ product as u64
}

/// The hash of what begins at a corner of a grid whose runs have about `1 << run_bits` bytes.
///
/// Sixteen tiles that lie side by side have heads of lists in one cache line, and each its own; which line, and in which order, is as by chance, so that tiles which lie a
/// whole matrix apart spread as well.
#[inline(always)]
pub(super) fn hash_of_corner(grid: u32, run_bits: u8, corner: u64) -> u32 {
    let cell = corner >> (run_bits & 63);
    (fold(u64::from(grid), cell >> 4) ^ (cell & 15)) as u32
}

/// The bucket of a word in a table of `1 << bits` buckets.
#[inline]
pub(super) fn bucket_of(word: u64, bits: u32) -> usize {
    bucket_of_hash(fold(0, word), bits)
}

/// The bucket of what [`fold`] gave.
#[inline]
pub(super) fn bucket_of_hash(hash: u64, bits: u32) -> usize {
    (hash & ((1 << bits) - 1)) as usize
}

/// The size, as a power of two, of a table whose chains stay short with `items` in it.
pub(super) fn bucket_bits(items: usize) -> u32 {
    items.max(8).next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::{bucket_of_hash, fold, hash_of_corner};

    /// Starts at regular distances, along a line and in a matrix, collide no more than random numbers would.
    #[test]
    fn regular_distances_spread() {
        const BITS: u32 = 14;
        let lines = [32, 48, 52, 64, 640, 1024, 4096, 10_240, 34_816, 1 << 16, 1 << 20, 1 << 26];
        let lines = lines.map(|distance| (0..4096).map(|at| at * distance).collect::<Vec<u64>>());
        let tiles = [(64, 16 * 4096), (52, 13 * 3328), (64, 16 * 16_384), (256, 128 * 10_240), (32, 64 * 131_072)];
        let tiles =
            tiles.map(|(width, height)| (0..4096).map(|at| at / 64 * height + at % 64 * width).collect::<Vec<u64>>());
        for starts in lines.iter().chain(&tiles) {
            let mut buckets = vec![0u32; 1 << BITS];
            for &start in starts {
                buckets[bucket_of_hash(fold(3, 0x1000_0000 + start), BITS)] += 1;
            }
            let pairs: u32 = buckets.iter().map(|&count| count * count.saturating_sub(1) / 2).sum();
            // Random numbers give 4096² / 2 pairs in 16 384 buckets.
            assert!(pairs <= 2 * 512, "{pairs} pairs, distance {}", starts[1] - starts[0]);
        }
    }

    /// Corners of tiles, by rows and by columns of any length, collide no more than random numbers would; those of a row share lines.
    #[test]
    fn corners_spread_and_neighbours_share_lines() {
        const BITS: u32 = 14;
        for run_bytes in [4u64, 52, 64, 256, 320, 1 << 16] {
            let run_bits = run_bytes.ilog2() as u8;
            for step in [1, 2, 3, 15, 16, 17, 32, 48, 64, 100, 256, 1024, 1 << 14] {
                let hash = |at: u64| u64::from(hash_of_corner(7, run_bits, 0x1000_0000 + at * step * run_bytes));
                let mut buckets = vec![0u32; 1 << BITS];
                for at in 0..4096 {
                    buckets[bucket_of_hash(hash(at), BITS)] += 1;
                }
                let pairs: u32 = buckets.iter().map(|&count| count * count.saturating_sub(1) / 2).sum();
                // Random numbers give 512 pairs, and random lines the same on average, in lumps of up to sixteen.
                assert!(pairs <= 2 * 512, "{pairs} pairs, runs of {run_bytes}, every {step}th");
                let line = |at| bucket_of_hash(hash(at), BITS) / 16;
                let changes = (1..4096).filter(|&at| line(at) != line(at - 1)).count();
                // A run is less than twice the distance that counts.
                assert!(step > 1 || changes <= 2 * 4096 / 16, "{changes} lines, runs of {run_bytes}");
            }
        }
    }
}
