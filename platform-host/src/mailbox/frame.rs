//! What lies behind the words: the bytes of a task and of its failure.

use super::{FrameState, SleepWord};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::wire::FRAME_CAPACITY;
use std::cell::UnsafeCell;

/// Bytes of a failure's text, with the mark that it was cut.
pub const TEXT_CAPACITY: usize = 2032;

/// What a text ends with that was cut.
const CUT: &str = " … (cut)";

/// How a failed task failed.
#[repr(C)]
struct Failure {
    code: i32,
    text_bytes: u32,
    text: [u8; TEXT_CAPACITY],
}

/// One frame.
#[repr(C, align(64))]
pub struct Frame {
    /// Who has it.
    pub state: FrameState,
    failure: UnsafeCell<Failure>,
    blob: UnsafeCell<Blob>,
}

#[repr(C, align(64))]
struct Blob([u8; FRAME_CAPACITY]);

// SAFETY: the bytes are accessed only by whom the state word names.
unsafe impl Sync for Frame {}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame").field("state", &self.state.look()).finish_non_exhaustive()
    }
}

impl Frame {
    /// The bytes of the blob, for the runtime to fill.
    ///
    /// # Safety
    /// The frame is the runtime's: empty, ended or taken back; and the caller is the only one there who uses it.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn blob_mut(&self) -> &mut [u8; FRAME_CAPACITY] {
        // SAFETY: by contract nobody else has the bytes.
        let blob = unsafe { &mut *self.blob.get() };
        &mut blob.0
    }

    /// The bytes of the blob, for the worker to read.
    ///
    /// # Safety
    /// The worker has started the frame and has not finished it, for as long as the bytes are borrowed.
    pub unsafe fn blob(&self) -> &[u8; FRAME_CAPACITY] {
        // SAFETY: by contract nobody writes the bytes meanwhile.
        let blob = unsafe { &*self.blob.get() };
        &blob.0
    }

    /// Writes how the task failed. A text that is too long is cut between characters and says so.
    ///
    /// # Safety
    /// The worker has started the frame and has not finished it.
    pub unsafe fn write_failure(&self, code: i32, text: &str) {
        // SAFETY: by contract nobody else has the bytes.
        let failure = unsafe { &mut *self.failure.get() };
        failure.code = code;
        failure.text_bytes = write_cut(&mut failure.text, text) as u32;
    }

    /// How the task failed.
    ///
    /// # Errors
    /// A sentence that names the field, if the worker wrote what cannot be.
    ///
    /// # Safety
    /// The worker has finished the frame, or is no more, and nothing was published in it since.
    pub unsafe fn read_failure(&self) -> Result<(i32, String), String> {
        // SAFETY: by contract nobody writes the bytes meanwhile.
        let failure = unsafe { &*self.failure.get() };
        let text = failure.text.get(..failure.text_bytes as usize).ok_or_else(|| {
            format!("frame field text_bytes: {} is more than the limit of {TEXT_CAPACITY}", failure.text_bytes)
        })?;
        Ok((failure.code, String::from_utf8_lossy(text).into_owned()))
    }
}

/// Writes `text` into `place`, cut if need be, and returns its length.
fn write_cut(place: &mut [u8], text: &str) -> usize {
    let (kept, mark) = if text.len() <= place.len() {
        (text, "")
    } else {
        (&text[..text.floor_char_boundary(place.len() - CUT.len())], CUT)
    };
    place[..kept.len()].copy_from_slice(kept.as_bytes());
    let end = kept.len() + mark.len();
    place[kept.len()..end].copy_from_slice(mark.as_bytes());
    end
}

/// A mailbox. Zeroed memory is one in which nothing has happened yet.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Mailbox {
    /// What the worker sleeps on.
    pub bell: SleepWord,
    /// Sticky: once it is not 0 the worker ends as soon as it has no task.
    shutdown: AtomicU32,
    spare: [u64; 7],
    /// The started and not yet ended token below, a number that grows with each start and sign of life above. The worker's line.
    pulse: AtomicU64,
    spare_2: [u64; 7],
    /// The frames, by the parity of the token.
    pub frames: [Frame; 2],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Failure>() + size_of::<FrameState>() == 2048);

impl Mailbox {
    /// The worker is to end.
    pub fn shut_down(&self) {
        self.shutdown.store(1, Ordering::Release);
    }

    /// Whether the worker is to end.
    #[inline]
    pub fn is_shut_down(&self) -> bool {
        self.shutdown.load(Ordering::Acquire) != 0
    }

    /// Says what the worker runs now, or that it shows a sign of life.
    #[inline]
    pub fn beat(&self, running: u32) {
        // Only the worker writes.
        let beat = (self.pulse.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        self.pulse.store(beat << 32 | u64::from(running), Ordering::Release);
    }

    /// What the worker said last: the token as a register carries it, and the number of its beat.
    pub fn pulse(&self) -> (u32, u64) {
        let pulse = self.pulse.load(Ordering::Acquire);
        (pulse as u32, pulse >> 32)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The part of HOST-087 that needs no process.
    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        for shift in 0..4 {
            let text = format!("{}{}", "x".repeat(shift), "äß漢🦀".repeat(1000));
            let mut place = [0xEE; TEXT_CAPACITY + 1];
            let length = write_cut(&mut place[..TEXT_CAPACITY], &text);
            let kept = std::str::from_utf8(&place[..length]).expect("it is cut between characters");
            let body = kept.strip_suffix(CUT).expect("it says that it was cut");
            assert!(text.starts_with(body) && body.len() > TEXT_CAPACITY - CUT.len() - 4);
            assert_eq!(place[TEXT_CAPACITY], 0xEE, "what lies behind is not touched");
        }
        let mut place = [0; 8];
        assert_eq!((write_cut(&mut place, "boom"), &place[..4]), (4, b"boom".as_slice()));
    }
}
