//! Any bytes as the blob of a worker's frame: an error that names the field, or arguments that lie within their buffers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prewire_platform_host::wire::{FRAME_CAPACITY, TaskArgsView};

/// Aligned as a mailbox's frames are.
#[repr(C, align(64))]
struct Frame([u8; FRAME_CAPACITY]);

const BUFFER: (u64, u64) = (1 << 32, 1 << 30);

fuzz_target!(|bytes: &[u8]| {
    let mut frame = Frame([0; FRAME_CAPACITY]);
    let length = bytes.len().min(FRAME_CAPACITY);
    frame.0[..length].copy_from_slice(&bytes[..length]);
    match TaskArgsView::new(&frame.0[..length]) {
        Err(error) => assert!(error.to_string().contains("frame field"), "{error}"),
        Ok(view) => {
            for argument in 0..view.tensors().len() {
                match view.materialise(argument, |buffer| (buffer < 4).then_some(BUFFER)) {
                    Err(error) => assert!(error.to_string().contains("frame field"), "{error}"),
                    Ok(tensor) => {
                        let end = tensor.first_byte() + tensor.layout().bytes();
                        assert!(tensor.first_byte() >= BUFFER.0 && end <= BUFFER.0 + BUFFER.1);
                    }
                }
            }
        }
    }
});
