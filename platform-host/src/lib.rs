//! The host as a platform: worker processes and threads behind shared-memory mailboxes.

pub mod mailbox;
pub mod wire;
