//! Settings from the environment, secrets from files or the environment.
//!
//! | key | meaning | when unset |
//! |---|---|---|
//! | `X` | the value of setting `X` | the default the reader names, or an error |
//! | `X_FILE` | a file whose trimmed content is the value of `X` (container secrets) | `X` itself counts |
//!
//! Trap: `X_FILE` wins over `X`, so a secret that is mounted cannot be shadowed by a stale variable.

use std::{collections::BTreeMap, fmt::Display, str::FromStr, sync::Arc};

/// Where a process reads its settings; cheap to clone.
#[derive(Clone, Default)]
pub struct Settings {
    values: Arc<BTreeMap<String, String>>,
}

/// A setting that is missing or does not parse: a sentence for the person who starts the process.
#[derive(Debug, thiserror::Error)]
#[error("setting {name}: {reason}")]
pub struct SettingError {
    name: String,
    reason: String,
}

impl Settings {
    /// The settings of this process: its environment.
    pub fn from_environment() -> Self {
        std::env::vars().collect()
    }

    /// These settings with `name` set to `value`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.values).insert(name.to_owned(), value.into());
        self
    }

    /// The value of `name`, from `<name>_FILE` when that is set.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn get(&self, name: &str) -> Result<Option<String>, SettingError> {
        if let Some(path) = self.values.get(&format!("{name}_FILE")) {
            let content = std::fs::read_to_string(path)
                .map_err(|error| fault(name, format!("cannot read the file `{path}` of {name}_FILE: {error}")))?;
            return Ok(Some(content.trim().to_owned()));
        }
        Ok(self.values.get(name).filter(|value| !value.is_empty()).cloned())
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// When it is not set, or its file cannot be read.
    pub fn require(&self, name: &str) -> Result<String, SettingError> {
        self.get(name)?
            .ok_or_else(|| fault(name, format!("is not set; set {name}, or {name}_FILE to a file that holds it")))
    }

    /// The value of `name` as a `T`, or `default`.
    ///
    /// # Errors
    /// When the value is set and is no `T`.
    pub fn parse<T>(&self, name: &str, default: T) -> Result<T, SettingError>
    where
        T: FromStr<Err: Display>,
    {
        match self.get(name)? {
            None => Ok(default),
            Some(text) => text.parse().map_err(|error| fault(name, format!("`{text}` does not parse: {error}"))),
        }
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(values: I) -> Self {
        Self { values: Arc::new(values.into_iter().collect()) }
    }
}

fn fault(name: &str, reason: String) -> SettingError {
    SettingError { name: name.to_owned(), reason }
}
