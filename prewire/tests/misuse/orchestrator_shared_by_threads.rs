//! The orchestrator is one thread at a time: it may be sent, and not shared.

use prewire_orchestrator::Orchestrator;

fn send<T: Send>() {}
fn share<T: Sync>() {}

fn main() {
    send::<Orchestrator>();
    share::<Orchestrator>();
}
