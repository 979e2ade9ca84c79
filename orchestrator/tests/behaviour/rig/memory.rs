//! Memory on the host, as device memory.

use prewire_runtime_core::memory::{DeviceMemory, OutOfMemory};
use prewire_runtime_core::task::Scalar;
use std::alloc::Layout;
use std::collections::HashMap;
use std::sync::Mutex;

/// Memory of the process.
#[derive(Default)]
pub(crate) struct HostMemory(Mutex<HashMap<u64, (u64, Layout)>>);

impl DeviceMemory for HostMemory {
    fn allocate(&self, bytes: u64) -> Result<u64, OutOfMemory> {
        // The system zeroes memory of ordinary alignment without touching it.
        let layout = Layout::from_size_align(bytes as usize + 4096, 8)
            .map_err(|error| OutOfMemory { bytes, reason: error.to_string() })?;
        // SAFETY: the layout has a size.
        let start = unsafe { std::alloc::alloc_zeroed(layout) } as u64;
        if start == 0 {
            return Err(OutOfMemory { bytes, reason: "the process has no more".to_owned() });
        }
        let address = start.next_multiple_of(4096);
        self.0.lock().unwrap().insert(address, (start, layout));
        Ok(address)
    }

    unsafe fn free(&self, address: u64) {
        let (start, layout) = self.0.lock().unwrap().remove(&address).expect("freed once");
        // SAFETY: allocated above with this layout.
        unsafe { std::alloc::dealloc(start as *mut u8, layout) };
    }

    unsafe fn read(&self, address: u64, into: &mut [u8]) {
        // SAFETY: by contract.
        unsafe { std::ptr::copy_nonoverlapping(address as *const u8, into.as_mut_ptr(), into.len()) };
    }

    unsafe fn write(&self, address: u64, from: &[u8]) {
        // SAFETY: by contract.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), address as *mut u8, from.len()) };
    }

    unsafe fn fill(&self, address: u64, value: Scalar, element_bytes: u64, count: u64) {
        for element in 0..count {
            let bytes = &value.0.to_le_bytes()[..element_bytes as usize];
            // SAFETY: by contract.
            unsafe { self.write(address + element * element_bytes, bytes) };
        }
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        for (start, layout) in self.0.get_mut().unwrap().values() {
            // SAFETY: allocated above with this layout and not freed; the orchestrator and the test have let go of the memory.
            unsafe { std::alloc::dealloc(*start as *mut u8, *layout) };
        }
    }
}
