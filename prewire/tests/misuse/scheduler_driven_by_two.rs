//! Whoever drives a scheduler instance has it alone.

use prewire_platform_sim::Sim;
use prewire_scheduler::Scheduler;

fn drive(scheduler: &Scheduler<Sim>) {
    let _ = scheduler.step();
}

fn copy<T: Clone>() {}

fn main() {
    let _ = drive;
    copy::<Scheduler<Sim>>();
}
