//! Fixed storage for what live tasks do with regions. Every slot has a row of touches of its own, which is one cache line; a task with more tensors has the others from
//! a pool that all share.

use super::pool::NONE;
use prewire_runtime_core::id::SlotIndex;

/// The touches of a slot's row.
const ROW: u32 = 4;

/// In the place of a reader's newer neighbour: the touch is a writer's.
const WRITES: u32 = NONE - 1;

/// One tensor argument of a live task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) slot: u32,
    /// The entry that it reads or writes; [`NONE`] for a reader that a later writer has taken the place of. A writer's is
    /// current only while the entry names the touch.
    pub(super) entry: u32,
    /// Neighbours in the entry's list of readers.
    pub(super) previous: u32,
    pub(super) next: u32,
}

impl Touch {
    pub(super) const fn read(slot: u32, entry: u32, next: u32) -> Touch {
        Touch { slot, entry, previous: NONE, next }
    }

    pub(super) const fn write(slot: u32, entry: u32) -> Touch {
        Touch { slot, entry, previous: WRITES, next: NONE }
    }

    pub(super) const fn writes(&self) -> bool {
        self.previous == WRITES
    }
}

/// Where the parts of a touch are among the numbers that it is stored as. Numbers, because those that were never used cost no memory: the system hands them
/// out as zeros.
const SLOT: usize = 0;
const ENTRY: usize = 1;
const PREVIOUS: usize = 2;
const NEXT: usize = 3;

/// The touches that one task has taken so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// The first of its slot's row.
    first: u32,
    count: u32,
    /// The newest of those from the pool.
    pooled: u32,
}

/// The touches of all slots: as many as have a row's worth each, and some more for tasks that have more.
#[derive(Debug)]
pub(super) struct Touches {
    /// The rows, and behind them the pool.
    items: Vec<[u32; 4]>,
    rows: u32,
    /// Per slot: how many touches its task has, and, if these are more than a row, the newest in the pool.
    counts: Vec<u32>,
    pooled: Vec<u32>,
    /// Of each in the pool that was used before: the next of the same task, or the next free one.
    links: Vec<u32>,
    free: u32,
    /// The touches that there may be at one time, that there are, and that there were at most.
    capacity: usize,
    in_use: usize,
    peak: usize,
}

impl Touches {
    /// Room for so many touches of tasks in so many slots.
    pub(super) fn new(capacity: usize, slots: usize) -> Touches {
        let rows = slots.saturating_mul(ROW as usize);
        let items = rows.saturating_add(capacity);
        assert!(items < WRITES as usize, "{capacity} touches of {slots} slots cannot be numbered with 32 bits");
        Touches {
            items: vec![[0; 4]; items],
            rows: rows as u32,
            counts: vec![0; slots],
            pooled: vec![0; slots],
            links: Vec::with_capacity(capacity),
            free: NONE,
            capacity,
            in_use: 0,
            peak: 0,
        }
    }

    /// Begins the touches of a task. Its slot has none.
    #[inline(always)]
    pub(super) fn begin(&self, slot: SlotIndex) -> Taken {
        debug_assert_eq!(self.counts[slot.index()], 0, "a slot was given away before its task was forgotten");
        Taken { first: slot.0 * ROW, count: 0, pooled: NONE }
    }

    /// Takes one more touch for the task.
    #[inline(always)]
    pub(super) fn take(&mut self, taken: &mut Taken, new: Touch) -> u32 {
        let index = if taken.count < ROW {
            taken.first + taken.count
        } else {
            taken.pooled = self.take_from_pool(taken.pooled);
            self.rows + taken.pooled
        };
        taken.count += 1;
        let item = &mut self.items[index as usize];
        item[SLOT] = new.slot;
        item[ENTRY] = new.entry;
        item[PREVIOUS] = new.previous;
        item[NEXT] = new.next;
        index
    }

    /// The place in the pool of one more touch of the task whose newest one there is `newest`.
    #[inline(never)]
    fn take_from_pool(&mut self, newest: u32) -> u32 {
        let place = if self.free == NONE {
            assert!(self.links.len() < self.capacity, "more was touched than the index was built for");
            self.links.push(NONE);
            self.links.len() as u32 - 1
        } else {
            let place = self.free;
            self.free = self.links[place as usize];
            place
        };
        self.links[place as usize] = newest;
        place
    }

    /// Ends the touches of a task.
    #[inline(always)]
    pub(super) fn end(&mut self, slot: SlotIndex, taken: Taken) {
        self.counts[slot.index()] = taken.count;
        if taken.count > ROW {
            self.pooled[slot.index()] = taken.pooled;
        }
        self.in_use += taken.count as usize;
        self.peak = self.peak.max(self.in_use);
    }

    /// The touches that a slot's task has in the row, and whether it has more in the pool.
    #[inline(always)]
    pub(super) fn row_of(&self, slot: SlotIndex) -> (std::ops::Range<u32>, bool) {
        let (first, count) = (slot.0 * ROW, self.counts[slot.index()]);
        (first..first + count.min(ROW), count > ROW)
    }

    /// The newest of those that a slot's task has in the pool, where it has any.
    #[inline]
    pub(super) fn newest_pooled_of(&self, slot: SlotIndex) -> u32 {
        self.rows + self.pooled[slot.index()]
    }

    /// The one that the same task took from the pool before another, or [`NONE`].
    #[inline]
    pub(super) fn before(&self, pooled: u32) -> u32 {
        match self.links[(pooled - self.rows) as usize] {
            NONE => NONE,
            place => self.rows + place,
        }
    }

    /// Gives all touches of a slot's task back.
    #[inline(always)]
    pub(super) fn give(&mut self, slot: SlotIndex) {
        let count = std::mem::replace(&mut self.counts[slot.index()], 0);
        self.in_use -= count as usize;
        if count > ROW {
            self.give_pooled(slot);
        }
    }

    #[inline(never)]
    fn give_pooled(&mut self, slot: SlotIndex) {
        let first = self.pooled[slot.index()];
        let mut last = first;
        while self.links[last as usize] != NONE {
            last = self.links[last as usize];
        }
        self.links[last as usize] = std::mem::replace(&mut self.free, first);
    }

    #[inline(always)]
    pub(super) fn get(&self, touch: u32) -> Touch {
        let [slot, entry, previous, next] = self.items[touch as usize];
        Touch { slot, entry, previous, next }
    }

    /// Whether a touch is one of the task that is taking some.
    #[inline(always)]
    pub(super) fn is_of(&self, touch: u32, taken: &Taken) -> bool {
        // Those of a row are told by their number, without a look at a line that was written long ago.
        touch.wrapping_sub(taken.first) < ROW || touch >= self.rows && self.get(touch).slot * ROW == taken.first
    }

    /// Says that a reader's place was taken by a later writer.
    #[inline(always)]
    pub(super) fn detach(&mut self, touch: u32) {
        self.items[touch as usize][ENTRY] = NONE;
    }

    #[inline(always)]
    pub(super) fn set_previous(&mut self, touch: u32, previous: u32) {
        self.items[touch as usize][PREVIOUS] = previous;
    }

    #[inline(always)]
    pub(super) fn set_next(&mut self, touch: u32, next: u32) {
        self.items[touch as usize][NEXT] = next;
    }

    /// How many there may be more.
    #[inline]
    pub(super) fn free(&self) -> usize {
        self.capacity - self.in_use
    }

    #[inline]
    pub(super) fn in_use(&self) -> usize {
        self.in_use
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The most touches that were in use at one time.
    pub(super) fn peak(&self) -> usize {
        self.peak
    }

    /// Gives every touch back and forgets the peak.
    pub(super) fn clear(&mut self) {
        if self.in_use != 0 {
            // Where no touch is in use no slot has any, and there are many slots: after a small run they would take longer than the run.
            self.counts.fill(0);
        }
        self.links.clear();
        self.free = NONE;
        self.in_use = 0;
        self.peak = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tasks with few and with many touches come and go; nobody's is another's, and all are found again.
    #[test]
    fn touches_are_their_tasks_own() {
        const SLOTS: u32 = 16;
        const MOST: u32 = 11;
        let mut touches = Touches::new((SLOTS * MOST) as usize, SLOTS as usize);
        let mut counts = [0u32; SLOTS as usize];
        let mut random = 3u64;
        let mut most = 0;
        for round in 0..5000u32 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let slot = SlotIndex((random >> 33) as u32 % SLOTS);
            let count = counts[slot.index()];
            if count != 0 {
                let (row, more) = touches.row_of(slot);
                assert_eq!(more, count > ROW);
                let newest = Some(touches.newest_pooled_of(slot)).filter(|_| more);
                let pooled =
                    std::iter::successors(newest, |&touch| Some(touches.before(touch)).filter(|&touch| touch != NONE));
                let found: Vec<Touch> = row.chain(pooled).map(|touch| touches.get(touch)).collect();
                assert_eq!(found.len() as u32, count);
                assert!(found.iter().all(|touch| touch.slot == slot.0 && !touch.writes()));
                let entries: std::collections::HashSet<u32> = found.iter().map(|touch| touch.entry % MOST).collect();
                assert_eq!(entries.len(), found.len(), "each once");
                touches.give(slot);
                counts[slot.index()] = 0;
            } else {
                let wanted = 1 + (random >> 50) as u32 % MOST;
                let mut taken = touches.begin(slot);
                for number in 0..wanted {
                    let touch = touches.take(&mut taken, Touch::read(slot.0, round * MOST + number, NONE));
                    assert!(touches.is_of(touch, &taken));
                    let other = (0..SLOTS).map(SlotIndex).find(|&other| other != slot && counts[other.index()] == 0);
                    assert!(other.is_none_or(|other| !touches.is_of(touch, &touches.begin(other))));
                }
                touches.end(slot, taken);
                counts[slot.index()] = wanted;
            }
            let in_use = counts.iter().sum::<u32>() as usize;
            most = most.max(in_use);
            assert_eq!((touches.in_use(), touches.peak()), (in_use, most));
        }
        touches.clear();
        assert!((0..SLOTS).all(|slot| touches.row_of(SlotIndex(slot)).0.is_empty()));
    }
}
