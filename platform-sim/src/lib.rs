//! The simulated chip: cores as threads, inline, or in virtual time.
