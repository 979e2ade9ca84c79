//! One line of the table.

use serde_json::{Value, json};
use std::fmt;

/// Something that was measured.
#[derive(Debug)]
pub(crate) struct Row {
    /// The behaviour that is written down.
    id: &'static str,
    what: String,
    measured: String,
    ratio: f64,
    /// What the ratio is to be at most.
    most: Option<f64>,
}

impl Row {
    pub(crate) fn new(id: &'static str, what: impl Into<String>, measured: impl Into<String>, ratio: f64) -> Self {
        Row { id, what: what.into(), measured: measured.into(), ratio, most: None }
    }

    /// With what is aimed at.
    pub(crate) fn at_most(mut self, most: f64) -> Self {
        self.most = Some(most);
        self
    }

    /// Whether the aim is met, if there is one.
    pub(crate) fn is_met(&self) -> Option<bool> {
        self.most.map(|most| self.ratio <= most)
    }

    pub(crate) fn as_json(&self) -> Value {
        json!({"row": self.id, "what": self.what, "measured": self.measured, "ratio": self.ratio, "aim": self.most})
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { id, what, measured, ratio, .. } = self;
        write!(f, "| {id} | {what} | {measured} | {ratio:.2} | ")?;
        match (self.most, self.is_met()) {
            (Some(most), Some(met)) => write!(f, "{most} | {} |", if met { "met" } else { "missed" }),
            _ => f.write_str("| |"),
        }
    }
}
