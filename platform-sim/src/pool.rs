//! Threads that run cores: started when needed, kept, asleep when idle.
//!
//! A pool runs as many cores at once as it is allowed to, which at first is one per processor: a kernel that computes gains nothing from a rival
//! for its processor. Kernels may sleep, however, and then cores that wait for a thread would stand still while the machine idles. So while cores
//! wait, one thread watches: if none of them has been taken for a while and running kernels are asleep, more may run at once.

use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::sync::thread::{self, JoinHandle};
use prewire_runtime_core::sync::{Condvar, Instant, Mutex, MutexGuard};
use rustix::thread::{Pid, gettid};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How often waiting cores are looked after.
const WATCH: Duration = Duration::from_millis(2);

/// How long no waiting core may be taken before another one may run although the processors are busy: kernels that poll look like kernels that
/// compute.
const PATIENCE: Duration = Duration::from_millis(100);

const POISON: &str = "no code panics while it holds a pool";

/// What a thread of a pool does with a core.
pub(crate) trait Serve: Send + Sync + 'static {
    /// Runs what the core has to do.
    fn serve(self: &Arc<Self>, core: CoreId, pool: &Arc<Pool>);
}

/// A pool.
#[derive(Debug)]
pub(crate) struct Pool {
    name: &'static str,
    /// Cores that may run at once as long as kernels compute.
    base: usize,
    /// Cores that may run at once in any case.
    limit: usize,
    state: Mutex<State>,
    work: Condvar,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<CoreId>,
    /// Threads that have not ended.
    threads: usize,
    /// Threads that sleep, or have been started or woken and do not know it yet.
    idle: usize,
    /// The threads that run a core.
    active: Vec<Pid>,
    /// How many may.
    permitted: usize,
    /// Cores taken so far.
    taken: u64,
    /// Whether a thread watches the waiting cores.
    watched: bool,
    stopping: bool,
    handles: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(crate) fn new(name: &'static str, base: usize, limit: usize) -> Self {
        let state = State {
            permitted: base,
            waiting: VecDeque::with_capacity(limit),
            active: Vec::with_capacity(limit),
            ..State::default()
        };
        Pool { name, base, limit, state: Mutex::new(state), work: Condvar::new(), ended: Condvar::new() }
    }

    /// Brings a core to a thread.
    pub(crate) fn submit<S: Serve>(self: &Arc<Self>, core: CoreId, server: &Arc<S>) {
        let mut state = self.state.lock().expect(POISON);
        state.waiting.push_back(core);
        self.call(&mut state, server);
    }

    pub(crate) fn threads(&self) -> usize {
        self.state.lock().expect(POISON).threads
    }

    /// Sees to it that as many threads are awake as may run a waiting core, or one to watch.
    fn call<S: Serve>(self: &Arc<Self>, state: &mut State, server: &Arc<S>) {
        let room = state.permitted.saturating_sub(state.active.len());
        let wanted = match state.waiting.len().min(room) {
            0 if state.waiting.is_empty() || state.watched || self.base == self.limit => 0,
            0 => 1,
            wanted => wanted,
        };
        if wanted == 0 {
            return;
        }
        if wanted <= state.idle {
            self.work.notify_one();
            return;
        }
        let (pool, server) = (Arc::clone(self), Arc::clone(server));
        let started = thread::Builder::new().name(format!("prewire-{}", self.name)).spawn(move || pool.run(&server));
        match started {
            Ok(handle) => {
                state.threads += 1;
                state.idle += 1;
                state.handles.push(handle);
            }
            // Out of threads: those that there are do the work, later.
            Err(_) if state.threads > 0 => self.work.notify_one(),
            Err(error) => panic!("no thread can be started to run the simulated cores: {error}"),
        }
    }

    fn run<S: Serve>(self: Arc<Self>, server: &Arc<S>) {
        let own = gettid();
        let mut state = self.state.lock().expect(POISON);
        state.idle -= 1;
        while !state.stopping {
            if state.waiting.is_empty() {
                state.permitted = state.active.len().clamp(self.base, self.limit);
                state = self.sleep(state);
            } else if state.active.len() < state.permitted {
                state = self.take(state, own, server);
            } else if !state.watched && self.base < self.limit {
                state = self.watch(state);
            } else {
                state = self.sleep(state);
            }
        }
        state.threads -= 1;
        self.ended.notify_all();
    }

    fn sleep<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.idle += 1;
        state = self.work.wait(state).expect(POISON);
        state.idle -= 1;
        state
    }

    /// Runs the core that has waited longest.
    fn take<'a, S: Serve>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        own: Pid,
        server: &Arc<S>,
    ) -> MutexGuard<'a, State> {
        let core = state.waiting.pop_front().expect("the caller saw one");
        state.active.push(own);
        state.taken += 1;
        // The next waiting core, if it may run, needs a thread too.
        self.call(&mut state, server);
        drop(state);
        server.serve(core, self);
        let mut state = self.state.lock().expect(POISON);
        state.active.retain(|thread| *thread != own);
        state
    }

    /// Watches the waiting cores until one is taken or more may run.
    fn watch<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.watched = true;
        let since = Instant::now();
        let taken = state.taken;
        while !state.stopping
            && !state.waiting.is_empty()
            && state.taken == taken
            && state.active.len() >= state.permitted
        {
            let (waited, timeout) = self.work.wait_timeout(state, WATCH).expect(POISON);
            state = waited;
            if !timeout.timed_out() || state.taken != taken {
                continue;
            }
            let running = state.active.clone();
            drop(state);
            let asleep = running.iter().filter(|thread| sleeps(**thread)).count();
            state = self.state.lock().expect(POISON);
            if state.taken != taken {
                continue;
            }
            if running.len() - asleep < self.base {
                state.permitted = (state.permitted + asleep).min(self.limit);
            } else if since.elapsed() >= PATIENCE && state.permitted < 2 * self.base + 2 {
                state.permitted = (state.permitted + 1).min(self.limit);
            }
        }
        state.watched = false;
        state
    }

    /// Ends the threads and joins them; those that are still in a kernel at the deadline are left behind.
    pub(crate) fn stop(&self, deadline: Instant) {
        let mut state = self.state.lock().expect(POISON);
        state.stopping = true;
        self.work.notify_all();
        while state.threads > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.ended.wait_timeout(state, left).expect(POISON).0;
        }
        let all = state.threads == 0;
        let handles = std::mem::take(&mut state.handles);
        drop(state);
        // A thread that is late in a kernel ends by itself, joined by nobody, and so may those that are not.
        for handle in handles {
            if all {
                // A panic of a thread of ours was printed by its hook; there is nobody left to tell.
                let _ = handle.join();
            }
        }
    }
}

/// Whether a thread of this process waits for something, be it time or an event, as the system sees it. A thread that waits for a processor does not.
fn sleeps(thread: Pid) -> bool {
    let path = format!("/proc/self/task/{}/stat", thread.as_raw_nonzero());
    // The state is the first field behind the name, which is in parentheses and may contain any character.
    let status = std::fs::read_to_string(path).unwrap_or_default();
    let state = status.rsplit_once(") ").and_then(|(_, fields)| fields.chars().next());
    // Where the system does not say, a core that waits too long is reason enough to let it run.
    matches!(state, Some('S') | None)
}
