//! The workers as the engine sees them: cores that take a dispatch and report its end.

use crate::crew::{Crew, Incarnation, Lane};
use crate::groups::{Groups, MEETING_NONE};
use crate::in_frames::InFrames;
use crate::mailbox::Phase;
use crate::wire::{Call, encode};
use prewire_runtime_core::chip::ChipSpec;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::kernel::{Condition as CompletionCondition, KernelError, KernelSet};
use prewire_runtime_core::platform::{
    Availability, BlockFailure, DeferError, DispatchPayload, Dispatched, Outcome, Platform, Pulse,
};
use prewire_runtime_core::port::{Condition, Token};
use prewire_runtime_core::tensor::DataType;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Deaths are told and tasks have no budget of their own as a rule, so there is little to look for.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// The workers of one runtime, as a platform.
pub struct HostPlatform {
    chip: ChipSpec,
    crew: Arc<Crew>,
    /// Which lane a core is.
    lane_of: Box<[Option<usize>]>,
    frames: Box<[InFrames]>,
    groups: Mutex<Groups>,
    begun: Instant,
}

impl fmt::Debug for HostPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostPlatform").field("crew", &self.crew).finish_non_exhaustive()
    }
}

const POISON: &str = "no code panics while it holds a lock of the platform";

impl HostPlatform {
    /// The platform of these workers, on a chip that has a core for each.
    pub fn new(chip: ChipSpec, crew: Arc<Crew>) -> Self {
        let mut lane_of = vec![None; chip.cores().into()];
        for (at, lane) in crew.lanes().iter().enumerate() {
            lane_of[lane.core.index()] = Some(at);
        }
        let frames = crew.lanes().iter().map(|_| InFrames::new()).collect();
        HostPlatform {
            chip,
            crew,
            lane_of: lane_of.into(),
            frames,
            groups: Mutex::new(Groups::new()),
            begun: Instant::now(),
        }
    }

    /// The workers.
    pub fn crew(&self) -> &Arc<Crew> {
        &self.crew
    }

    #[inline]
    fn lane(&self, core: CoreId) -> (&Lane, &InFrames) {
        let at = self.lane_of[core.index()].expect("a core that exists is a worker");
        (&self.crew.lanes()[at], &self.frames[at])
    }

    /// The group of a dispatch, the first time one of its members is seen.
    fn meeting_of(&self, payload: &DispatchPayload) -> u32 {
        if !payload.concurrent || payload.blocks == 1 {
            return MEETING_NONE;
        }
        self.groups.lock().expect(POISON).join(payload.task, payload.blocks, self.crew.board())
    }

    /// Writes a frame. A sentence if it cannot be written.
    ///
    /// A worker that has died without the scheduler's knowing is given the frame all the same: what it has not started is taken back.
    fn write(
        &self,
        (lane, frames): (&Lane, &InFrames),
        token: Token,
        payload: &DispatchPayload,
        meeting: u32,
    ) -> Result<(), String> {
        let lost = frames.token(token.parity() ^ 1).is_none() && frames.known_gone.load(Ordering::Relaxed);
        lane.with_current(|worker| {
            let ended = |worker: &Incarnation| worker.is_dead() && (lost || self.crew.is_closing());
            let worker = worker.filter(|&worker| !ended(worker)).ok_or_else(|| lane.death())?;
            let frame = &worker.mailbox().frames[token.parity()];
            let call = Call {
                task: payload.task.to_bits(),
                run: payload.run,
                callable: payload.kernel.0.into(),
                block: payload.block,
                blocks: payload.blocks,
                slot: payload.slot.0,
                part: payload.part,
                parts: payload.parts,
                meeting,
            };
            // SAFETY: the payload's contract; a list without elements may have any pointer.
            let tensors = unsafe { slice(payload.tensors, payload.tensor_count) };
            // SAFETY: as above.
            let scalars = unsafe { slice(payload.scalars, payload.scalar_count) };
            // SAFETY: the core has a free place for the token, so its frame is the runtime's, and this scheduler alone owns the core.
            let blob = unsafe { frame.blob_mut() };
            let written = if tensors.is_empty() {
                encode(blob, &call, tensors, scalars, &Nowhere)
            } else {
                self.crew.memory().with_table(|table| encode(blob, &call, tensors, scalars, table))
            };
            written.map_err(|error| error.to_string())?;
            frame.state.publish(token);
            worker.mailbox().bell.ring();
            Ok(())
        })
    }
}

/// Where a task without tensors looks for buffers.
struct Nowhere;

impl crate::wire::Locate for Nowhere {
    fn locate(&self, _: u64) -> Option<(u64, u64)> {
        None
    }
}

/// # Safety
/// `data` points to `count` values that live and are not written meanwhile, or `count` is 0.
unsafe fn slice<'a, T>(data: *const T, count: u16) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts(data, count.into()) }
}

impl Platform for HostPlatform {
    fn chip(&self) -> &ChipSpec {
        &self.chip
    }

    unsafe fn dispatch(&self, core: CoreId, token: Token, payload: &DispatchPayload) -> Dispatched {
        let (lane, frames) = self.lane(core);
        let parity = token.parity();
        if frames.token(parity ^ 1).is_none() {
            lane.take_over();
        }
        let meeting = self.meeting_of(payload);
        frames.given(token, meeting);
        match self.write((lane, frames), token, payload, meeting) {
            Ok(()) => Dispatched::Given,
            Err(text) => {
                frames.refuse(token, text);
                Dispatched::Ended
            }
        }
    }

    fn poll(&self, core: CoreId) -> Condition {
        let (lane, frames) = self.lane(core);
        lane.with_current(|worker| frames.condition(worker))
    }

    fn outcome(&self, core: CoreId, token: Token) -> Outcome {
        let (lane, frames) = self.lane(core);
        let parity = token.parity();
        let done = lane.with_current(|worker| {
            worker.is_some_and(|worker| worker.mailbox().frames[parity].state.look().is(Phase::Done, token))
        });
        let outcome = if done && !frames.is_refused(token) { Outcome::Ok } else { Outcome::Failed };
        let meeting = frames.taken_in(token);
        if meeting != MEETING_NONE {
            let mut groups = self.groups.lock().expect(POISON);
            groups.leave(meeting, outcome == Outcome::Failed, self.crew.board());
        }
        outcome
    }

    fn take_failure(&self, core: CoreId, token: Token) -> BlockFailure {
        let (lane, frames) = self.lane(core);
        if let Some(text) = frames.take_refusal(token) {
            return BlockFailure { code: KernelError::ACCESS, text };
        }
        lane.with_current(|worker| {
            let Some(worker) = worker else { return BlockFailure { code: KernelError::LOST, text: lane.death() } };
            let frame = &worker.mailbox().frames[token.parity()];
            if !frame.state.look().is(Phase::Failed, token) {
                let text = lane.death();
                return BlockFailure { code: KernelError::LOST, text };
            }
            // SAFETY: the worker has finished the frame, and nothing is published in it before the next dispatch.
            match unsafe { frame.read_failure() } {
                Ok((code, text)) => BlockFailure { code, text },
                Err(what) => {
                    worker.kill(&format!("it answered with nonsense: {what}"));
                    BlockFailure {
                        code: KernelError::LOST,
                        text: format!("{} answered with nonsense: {what}", lane.name),
                    }
                }
            }
        })
    }

    fn take_conditions(
        &self,
        core: CoreId,
        _: Token,
        _: &mut dyn FnMut(CompletionCondition),
    ) -> Result<(), DeferError> {
        Err(DeferError::Malformed(format!("{} cannot defer its completion", self.chip.core_name(core))))
    }

    fn condition_holds(&self, _: &CompletionCondition) -> bool {
        false
    }

    fn counter_value(&self, _: &CompletionCondition) -> u32 {
        0
    }

    fn can_preload(&self) -> bool {
        true
    }

    #[inline(always)]
    fn can_revoke(&self) -> bool {
        true
    }

    fn revoke(&self, core: CoreId, token: Token) -> bool {
        let (lane, frames) = self.lane(core);
        // The task keeps its place among the groups: it is given to another worker.
        lane.with_current(|worker| frames.revoke(worker, token))
    }

    fn runs_concurrently(&self) -> bool {
        true
    }

    #[inline]
    fn availability_epoch(&self) -> u32 {
        self.crew.epoch()
    }

    fn availability(&self, core: CoreId) -> Availability {
        let Some(at) = self.lane_of[core.index()] else { return Availability::Gone };
        let availability = self.crew.lanes()[at].availability();
        self.frames[at].known_gone.store(availability == Availability::Gone, Ordering::Relaxed);
        availability
    }

    fn end_overdue(&self, core: CoreId, budget_ns: u64) -> bool {
        let (lane, _) = self.lane(core);
        lane.with_current(|worker| {
            let process = worker.filter(|worker| worker.is_process());
            if let Some(worker) = process {
                worker.kill(&format!("its task exceeded its budget of {} ms", budget_ns / 1_000_000));
            }
            process.is_some()
        })
    }

    fn watch_interval(&self) -> Option<Duration> {
        Some(WATCH_INTERVAL)
    }

    fn warn(&self, text: &str) {
        tracing::warn!("{text}");
    }

    fn read_operand(&self, address: u64, data_type: DataType) -> i128 {
        let mut bytes = [0; 8];
        let length = data_type.bytes() as usize;
        // SAFETY: the operand is an argument of a ready task, and its producers are done.
        unsafe {
            prewire_runtime_core::memory::DeviceMemory::read(&**self.crew.memory(), address, &mut bytes[..length]);
        }
        data_type.integer(bytes)
    }

    fn now_ns(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    fn pulse(&self, core: CoreId) -> Pulse {
        let Some(at) = self.lane_of[core.index()] else { return Pulse { running: None, beat: 0 } };
        self.crew.lanes()[at].with_current(|worker| match worker {
            Some(worker) if !worker.is_dead() => {
                let (running, beat) = worker.mailbox().pulse();
                // Before its first task the word is zero, which is a token as well.
                let running = if beat == 0 { None } else { Token::from_register(running) };
                Pulse { running, beat }
            }
            _ => Pulse { running: None, beat: 0 },
        })
    }

    fn begin_run(&self, run: u32, _: &Arc<KernelSet>) -> Result<(), String> {
        if !self.crew.is_owner() {
            return Err("this is a forked process; its workers belong to the original".to_owned());
        }
        if self.crew.is_closing() {
            return Err("the runtime is closed".to_owned());
        }
        let busy = self.crew.lanes().iter().filter(|lane| self.pulse(lane.core).running.is_some());
        let busy: Vec<&str> = busy.map(|lane| lane.name.as_str()).collect();
        if busy.is_empty() {
            self.frames.iter().for_each(InFrames::clear);
            *self.groups.lock().expect(POISON) = Groups::new();
            self.crew.board().begin(run);
            return Ok(());
        }
        Err(format!("{} is still inside a task of an earlier run that ignores its cancellation", busy.join(", ")))
    }

    fn cancel(&self, run: u32) {
        self.crew.board().end(run);
    }

    fn exit(&self) -> Vec<CoreId> {
        // How the workers ended is said by whoever closes them in person.
        let told = self.crew.is_closed();
        if let Err(error) = self.crew.close(Duration::from_millis(self.chip.exit_deadline_ms))
            && !told
        {
            tracing::warn!("{error}");
        }
        let left = self.crew.lanes().iter().filter(|lane| lane.current().is_some_and(|worker| !worker.is_dead()));
        left.map(|lane| lane.core).collect()
    }
}

impl Drop for HostPlatform {
    fn drop(&mut self) {
        self.exit();
    }
}
