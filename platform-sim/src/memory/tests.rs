//! Allocation, ranges, and what lost kernels do to them.

use super::*;

fn memory() -> SimMemory {
    SimMemory { table: Mutex::default(), coherent: true, invalidations: AtomicU64::new(0), stale: None }
}

#[test]
fn memory_is_zeroed_aligned_and_costs_nothing_untouched() {
    let memory = memory();
    // More than this machine has: only the pages that are touched exist.
    let bytes = 1 << 40;
    let address = memory.allocate(bytes).unwrap();
    assert!(address.is_multiple_of(4096));
    let mut ends = [1; 2];
    for (end, place) in ends.iter_mut().zip([address, address + bytes - 1]) {
        // SAFETY: within the allocation.
        unsafe { memory.read(place, std::slice::from_mut(end)) };
    }
    assert_eq!(ends, [0; 2]);
    let error = memory.allocate(u64::MAX / 2).unwrap_err();
    assert_eq!(error.bytes, u64::MAX / 2);
    assert_eq!(memory.allocated_bytes(), bytes);
    // SAFETY: nobody uses it.
    unsafe { memory.free(address) };
    assert_eq!(memory.allocated_bytes(), 0);
}

#[test]
fn what_is_filled_and_written_is_read_back() {
    let memory = memory();
    let address = memory.allocate(64).unwrap();
    let read = |offset: u64, bytes: usize| {
        let mut read = vec![0; bytes];
        // SAFETY: within the allocation.
        unsafe { memory.read(address + offset, &mut read) };
        read
    };
    // SAFETY: within the allocation.
    unsafe { memory.fill(address, Scalar(0x1122_3344_5566_7788), 4, 3) };
    assert_eq!(read(0, 16), [[0x88, 0x77, 0x66, 0x55]; 3].concat().into_iter().chain([0; 4]).collect::<Vec<u8>>());
    // SAFETY: as above.
    unsafe { memory.fill(address, Scalar(0xABAB), 2, 2) };
    assert_eq!(read(0, 5), [0xAB, 0xAB, 0xAB, 0xAB, 0x88]);
    // SAFETY: as above.
    unsafe { memory.fill(address, Scalar(u64::MAX - 1), 8, 1) };
    assert_eq!(read(0, 9), [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x88]);
    // SAFETY: as above.
    unsafe { memory.write(address + 60, &[1, 2, 3, 4]) };
    assert_eq!(read(59, 5), [0, 1, 2, 3, 4]);
}

#[test]
fn the_table_knows_what_is_device_memory() {
    let memory = memory();
    let address = memory.allocate(8192).unwrap();
    assert!(memory.contains(address, 8192) && memory.contains(address + 8188, 4));
    assert!(!memory.contains(address + 8188, 5) && !memory.contains(address - 1, 1) && !memory.contains(0, 4));
    assert!(!memory.contains(address + 8192, 1) && !memory.contains(u64::MAX, 4));
    // SAFETY: nobody uses it.
    unsafe { memory.free(address) };
    assert!(!memory.contains(address, 1));
}

#[test]
fn what_lost_kernels_may_use_goes_when_the_last_has_returned() {
    let memory = memory();
    let [first, second] = [4096, 8192].map(|bytes| memory.allocate(bytes).unwrap());
    memory.lost();
    memory.lost();
    // SAFETY: its owner has no more use for it.
    unsafe { memory.free(first) };
    // SAFETY: withheld, so it is still mapped.
    unsafe { memory.write(first, &[1]) };
    assert_eq!(memory.allocated_bytes(), 4096 + 8192);
    memory.found();
    assert_eq!(memory.allocated_bytes(), 4096 + 8192);
    memory.found();
    assert_eq!(memory.allocated_bytes(), 8192);
    // SAFETY: nobody uses it.
    unsafe { memory.free(second) };
    assert_eq!(memory.allocated_bytes(), 0);
}
