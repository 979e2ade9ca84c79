//! What is on its way to the store: numbers for fences, room for parts, the first error.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

#[derive(Debug, Default)]
struct State {
    newest: u64,
    /// Numbers of shards that were ended and are not yet visible.
    running: Vec<u64>,
    pending_bytes: u64,
    error: Option<(u64, Error)>,
}

impl State {
    fn retired(&self) -> u64 {
        self.running.iter().min().map_or(self.newest, |oldest| oldest - 1)
    }
}

/// The uploads of one sink.
#[derive(Debug)]
pub(super) struct Uploads {
    state: Mutex<State>,
    done: Condvar,
    room: Arc<Semaphore>,
}

impl Uploads {
    pub(super) fn new(parts_in_flight: usize) -> Self {
        Uploads { state: Mutex::default(), done: Condvar::new(), room: Arc::new(Semaphore::new(parts_in_flight)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room for one more part.
    pub(super) async fn room(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.room).acquire_owned().await.expect("the semaphore is never closed")
    }

    pub(super) fn add_pending(&self, bytes: u64) {
        self.lock().pending_bytes += bytes;
    }

    pub(super) fn remove_pending(&self, bytes: u64) {
        self.lock().pending_bytes -= bytes;
    }

    /// A number for a shard that ends now.
    pub(super) fn begin_end(&self) -> u64 {
        let mut state = self.lock();
        state.newest += 1;
        let number = state.newest;
        state.running.push(number);
        number
    }

    pub(super) fn finish_end(&self, number: u64, outcome: Result<(), Error>) {
        let mut state = self.lock();
        if let Err(error) = outcome
            && state.error.as_ref().is_none_or(|(failed, _)| *failed > number)
        {
            state.error = Some((number, error));
        }
        state.running.retain(|running| *running != number);
        self.done.notify_all();
    }

    pub(super) fn sequence(&self) -> u64 {
        self.lock().newest
    }

    pub(super) fn retired(&self, number: u64) -> bool {
        let state = self.lock();
        state.retired() >= number && state.error.as_ref().is_none_or(|(failed, _)| *failed > number)
    }

    pub(super) fn wait(&self, number: u64) -> Result<(), Error> {
        let mut state = self.lock();
        while state.retired() < number {
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.error.as_ref().map_or(Ok(()), |(_, error)| Err(error.clone()))
    }

    pub(super) fn error(&self) -> Option<Error> {
        self.lock().error.as_ref().map(|(_, error)| error.clone())
    }

    pub(super) fn pending_bytes(&self) -> u64 {
        self.lock().pending_bytes
    }
}
