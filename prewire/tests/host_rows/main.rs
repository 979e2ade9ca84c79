//! The host runtime against what is written down about it: dependencies by bytes, scopes and heaps, groups, buffers, arguments, mailboxes.

#[path = "../host/rig.rs"]
#[allow(dead_code, reason = "it is shared with another test binary")]
mod rig;

#[path = "../oracle/lost.rs"]
mod lost;

mod arguments;
mod buffers;
mod control;
mod gates;
mod group;
mod kills;
mod mailbox;
mod mixing;
mod programs;
mod registration;
mod ring_sizes;
mod scope_heap;
mod stage;
mod staging;
mod tensormap;
