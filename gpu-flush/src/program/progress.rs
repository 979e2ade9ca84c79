//! A line on the terminal: how far, how fast, how well it compresses.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::metrics::Stage;
use crate::writer::Metrics;

/// Progress on standard error, shown only on a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn new(total_bytes: Option<u64>, quiet: bool) -> Self {
        let bar = match total_bytes {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        let hidden = quiet || !std::io::stderr().is_terminal();
        bar.set_draw_target(if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) });
        let template = match total_bytes {
            Some(_) => "{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {msg} eta {eta}",
            None => "{spinner} {bytes} {binary_bytes_per_sec} {msg} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar }
    }

    /// Counts bytes; the metrics are only asked for when somebody watches.
    pub(super) fn advance(&self, bytes: u64, metrics: impl FnOnce() -> Metrics) {
        self.bar.inc(bytes);
        if !self.bar.is_hidden() {
            let metrics = metrics();
            let (before, after) = (metrics.stage(Stage::Compress).bytes, metrics.stage(Stage::Aggregate).bytes);
            if before > 0 && after > 0 {
                self.bar.set_message(format!("ratio {:.2}", before as f64 / after as f64));
            }
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
