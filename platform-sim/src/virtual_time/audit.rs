//! What must hold of every dispatch, whatever the schedulers do: it is checked where the tokens arrive.

use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::platform::DispatchPayload;
use prewire_runtime_core::port::Token;
use std::collections::HashSet;

/// How many findings are kept; a broken engine makes many.
const MOST_FINDINGS: usize = 16;

/// What was seen so far, and what was wrong with it.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// Task, block and part of everything that was dispatched in this run.
    dispatched: HashSet<(u64, u32, u8)>,
    next_tokens: Vec<Option<Token>>,
    findings: Vec<String>,
}

impl Audit {
    pub(super) fn new(cores: usize) -> Self {
        Audit { next_tokens: vec![None; cores], ..Audit::default() }
    }

    pub(super) fn begin_run(&mut self) {
        self.dispatched.clear();
        self.findings.clear();
    }

    /// A token is written: it follows the core's last one, and no other dispatch has this part of this block.
    pub(super) fn dispatch(&mut self, core: CoreId, token: Token, payload: &DispatchPayload) {
        let next = &mut self.next_tokens[core.index()];
        if next.is_some_and(|next| next != token) {
            let text = format!("core {} got token {} out of turn", core.0, token.to_register());
            self.find(text);
        }
        self.next_tokens[core.index()] = Some(token.next());
        if !self.dispatched.insert((payload.task.to_bits(), payload.block, payload.part)) {
            self.find(format!(
                "block {} of task {}, part {}, was dispatched twice",
                payload.block, payload.task, payload.part
            ));
        }
    }

    pub(super) fn find(&mut self, finding: String) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.findings)
    }
}
