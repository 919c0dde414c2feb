//! The one error of this package: a sentence for the person at the terminal.

use std::error::Error;
use std::fmt::{Debug, Display, Formatter};

/// What this package's functions return.
pub type Result<T> = std::result::Result<T, StackError>;

/// Something the stack needs did not work; the text says what to do about it.
#[derive(Clone)]
pub struct StackError {
    message: String,
    port_taken: bool,
}

impl StackError {
    /// An error with this sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), port_taken: false }
    }

    /// Whether a part failed because somebody else listens on its port.
    pub fn is_port_taken(&self) -> bool {
        self.port_taken
    }

    pub(crate) fn port_taken(message: impl Into<String>) -> Self {
        Self { message: message.into(), port_taken: true }
    }
}

impl Display for StackError {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

// `main` and `unwrap` print errors with Debug: a sentence there too, not a struct.
impl Debug for StackError {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for StackError {}

/// Turns any error into a [`StackError`] that starts with what was being done.
pub(crate) trait Doing<T> {
    /// `what` completes the sentence "could not …".
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Error> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| StackError::new(format!("could not {}: {}", what(), with_causes(&error))))
    }
}

/// An error and what caused it: reqwest's own texts stop at the first.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
