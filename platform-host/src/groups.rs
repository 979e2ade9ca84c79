//! Groups whose members may wait for one another: each has a place on the board from its first member's dispatch to its last member's end.

use crate::board::{Board, MEETINGS};
use prewire_runtime_core::id::TaskId;

/// No place on the board.
pub(crate) const MEETING_NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Group {
    task: TaskId,
    /// Members that have not ended.
    left: u32,
}

/// The groups in flight.
#[derive(Debug)]
pub(crate) struct Groups([Option<Group>; MEETINGS]);

impl Groups {
    pub(crate) fn new() -> Self {
        Groups([None; MEETINGS])
    }

    /// The place of a group, opened with its first member.
    pub(crate) fn join(&mut self, task: TaskId, members: u32, board: &Board) -> u32 {
        let of_task = |place: &Option<Group>| place.is_some_and(|group| group.task == task);
        if let Some(at) = self.0.iter().position(of_task) {
            return at as u32;
        }
        // Every group has a member on a core, and there are no more cores than places.
        let at = self.0.iter().position(Option::is_none).expect("there are as many places as cores");
        self.0[at] = Some(Group { task, left: members });
        if let Some(meeting) = board.meeting(at as u32) {
            meeting.open();
        }
        at as u32
    }

    /// A member has ended.
    pub(crate) fn leave(&mut self, at: u32, failed: bool, board: &Board) {
        let Some(place) = self.0.get_mut(at as usize) else { return };
        let Some(group) = place else { return };
        if failed && let Some(meeting) = board.meeting(at) {
            meeting.fail();
        }
        group.left -= 1;
        if group.left == 0 {
            *place = None;
        }
    }
}
