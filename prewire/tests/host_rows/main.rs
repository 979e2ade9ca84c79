//! The host runtime against what is written down about it: dependencies by bytes, scopes and heaps, groups, buffers, arguments, mailboxes, starts and ends.

#[path = "../host/rig.rs"]
#[allow(dead_code, reason = "it is shared with another test binary")]
mod rig;

#[path = "../oracle/lost.rs"]
mod lost;

mod arguments;
mod buffers;
mod closing;
mod control;
mod crowded_start;
mod either;
mod exits;
mod gates;
mod group;
mod group_warning;
mod kills;
mod lending;
mod mailbox;
mod mixing;
mod own;
mod programs;
mod refusals;
mod registration;
mod release;
mod ring_sizes;
mod scope_heap;
mod spawned;
mod stage;
mod staging;
mod tensormap;
