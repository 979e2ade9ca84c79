//! Runs task graphs: ready queues, placement, dispatch, completion, watchdog, diagnostics.
