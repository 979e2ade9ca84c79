//! A JSON value that knows its place in the line, so that an error can name it.

use super::FormatError;
use serde_json::Value;
use std::fmt::Display;

/// A value within a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    value: &'a Value,
    name: Name<'a>,
    parent: Option<&'a Field<'a>>,
    line: u64,
}

#[derive(Clone, Copy, Debug)]
enum Name<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Field<'a> {
    /// The whole line, called `name` in errors.
    pub(super) fn line(value: &'a Value, name: &'a str, line: u64) -> Self {
        Field { value, name: Name::Key(name), parent: None, line }
    }

    /// The `index`-th element of an array, called by its number in errors.
    fn at(&'a self, value: &'a Value, index: usize) -> Field<'a> {
        Field { value, name: Name::Index(index), parent: Some(self), line: self.line }
    }

    fn named(&'a self, value: &'a Value, name: &'a str) -> Field<'a> {
        Field { value, name: Name::Key(name), parent: Some(self), line: self.line }
    }

    fn path(&self) -> String {
        match (self.name, self.parent) {
            // The name of the line itself only says what kind of line it is.
            (Name::Key(name), Some(parent)) if parent.parent.is_none() => name.to_owned(),
            (Name::Key(name), Some(parent)) => format!("{}.{name}", parent.path()),
            (Name::Key(name), None) => name.to_owned(),
            (Name::Index(index), Some(parent)) => format!("{}[{index}]", parent.path()),
            (Name::Index(index), None) => format!("[{index}]"),
        }
    }

    /// An error about this field.
    pub(super) fn wrong(&self, problem: impl Into<String>) -> FormatError {
        FormatError::Field { line: self.line, field: self.path(), problem: problem.into() }
    }

    /// What the value is, short enough for a message.
    fn shown(&self) -> String {
        let text = self.value.to_string();
        match text.char_indices().nth(40) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    fn is_not(&self, expected: impl Display) -> FormatError {
        self.wrong(format!("{} is not {expected}", self.shown()))
    }

    /// The value as it stands.
    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// The elements of an array.
    pub(super) fn elements(&'a self) -> Result<impl ExactSizeIterator<Item = Field<'a>>, FormatError> {
        let array = self.value.as_array().ok_or_else(|| self.is_not("an array"))?;
        Ok(array.iter().enumerate().map(|(index, value)| self.at(value, index)))
    }

    /// The elements of an array that may have at most `most`.
    pub(super) fn elements_at_most(
        &'a self,
        most: usize,
    ) -> Result<impl ExactSizeIterator<Item = Field<'a>>, FormatError> {
        let elements = self.elements()?;
        if elements.len() > most {
            return Err(self.wrong(format!("{} elements, and there may be {most}", elements.len())));
        }
        Ok(elements)
    }

    /// The first elements of an array with names of their own; the array has at least `required` of them and no more than there are names.
    pub(super) fn record<const N: usize>(
        &'a self,
        names: [&'static str; N],
        required: usize,
    ) -> Result<[Option<Field<'a>>; N], FormatError> {
        let array = self.value.as_array().ok_or_else(|| self.is_not("an array"))?;
        if array.len() < required {
            return Err(self.wrong(format!("{} elements; {} is missing", array.len(), names[array.len()])));
        }
        if array.len() > N {
            return Err(self.wrong(format!("{} elements; the last one known is {}", array.len(), names[N - 1])));
        }
        Ok(std::array::from_fn(|index| array.get(index).map(|value| self.named(value, names[index]))))
    }

    /// A member of an object, if it is there.
    pub(super) fn member(&'a self, key: &'a str) -> Option<Field<'a>> {
        self.value.get(key).map(|value| self.named(value, key))
    }

    /// A member of an object that must be there.
    pub(super) fn required(&'a self, key: &'a str) -> Result<Field<'a>, FormatError> {
        self.member(key).ok_or_else(|| self.wrong(format!("\"{key}\" is missing")))
    }

    /// The members of an object.
    pub(super) fn members(&'a self) -> Result<impl Iterator<Item = (&'a str, Field<'a>)>, FormatError> {
        let object = self.value.as_object().ok_or_else(|| self.is_not("an object"))?;
        Ok(object.iter().map(|(key, value)| (key.as_str(), self.named(value, key))))
    }

    /// A text.
    pub(super) fn text(&self) -> Result<&'a str, FormatError> {
        self.value.as_str().ok_or_else(|| self.is_not("a text"))
    }

    /// A whole number from 0 to `most`.
    pub(super) fn number(&self, most: u64) -> Result<u64, FormatError> {
        self.value
            .as_u64()
            .filter(|&number| number <= most)
            .ok_or_else(|| self.is_not(format_args!("a whole number from 0 to {most}")))
    }

    /// A whole number with a sign.
    pub(super) fn signed(&self) -> Result<i64, FormatError> {
        self.value.as_i64().ok_or_else(|| self.is_not("a whole number of 64 bits with a sign"))
    }

    /// A number from 0 to `most`, or -1 for none.
    pub(super) fn number_or_none(&self, most: u64) -> Result<Option<u64>, FormatError> {
        if self.value.as_i64() == Some(-1) {
            return Ok(None);
        }
        self.value
            .as_u64()
            .filter(|&number| number <= most)
            .map(Some)
            .ok_or_else(|| self.is_not(format_args!("-1 or a whole number from 0 to {most}")))
    }
}

/// Unwraps what [`Field::record`] has checked to be there.
pub(super) fn present<'a>(field: Option<Field<'a>>) -> Field<'a> {
    field.expect("the record's required elements were counted")
}
