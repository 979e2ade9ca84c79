//! The table of ordering rules: who must wait for whom, by name.
