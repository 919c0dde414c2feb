//! The sandbox's memory on disk: one JSON line per thing that happened, appended before anybody is told of it.
//!
//! A line that a crash left torn at the end never happened, for nobody was told; it is cut off. A line that cannot be read
//! anywhere else means that the file is not ours, and nothing starts on it.
//!
//! Trap: lines are written, not synced. A killed process loses nothing, a machine that loses power may.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::book::Done;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// A request was decided.
    Done(Box<Done>),
    /// The webhook of the operation at this place has arrived.
    Told { sequence: i64 },
}

/// The file, if there is one.
pub(super) struct Journal {
    file: Option<File>,
    /// How much of it is whole lines.
    length: u64,
}

impl Journal {
    /// The journal at `path` and what stands in it; without a path, one that keeps nothing.
    pub(super) fn open(path: Option<&Path>) -> Result<(Self, Vec<Entry>), String> {
        let Some(path) = path else { return Ok((Self { file: None, length: 0 }, Vec::new())) };
        let failed = |error: io::Error| format!("the journal {} cannot be used: {error}", path.display());
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut entries = Vec::new();
        let lines = bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
        for (number, line) in (1..).zip(lines).filter(|(_, line)| !line.is_empty()) {
            let entry = serde_json::from_slice(line);
            entries.push(entry.map_err(|error| {
                format!(
                    "line {number} of the journal {} cannot be read ({error}); mend it, or name another file",
                    path.display()
                )
            })?);
        }
        let length = u64::try_from(whole).map_err(|error| error.to_string())?;
        file.set_len(length).map_err(failed)?;
        file.seek(SeekFrom::Start(length)).map_err(failed)?;
        Ok((Self { file: Some(file), length }, entries))
    }

    /// Appends a line; when that fails, nothing of it stays.
    pub(super) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if let Err(error) = file.write_all(&line) {
            file.set_len(self.length)?;
            file.seek(SeekFrom::Start(self.length))?;
            return Err(error);
        }
        self.length += u64::try_from(line.len()).unwrap_or_default();
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use stack::scratch::Scratch;

    use super::*;

    #[test]
    fn a_torn_last_line_never_happened() {
        let scratch = Scratch::new("journal").unwrap();
        let path = scratch.path().join("journal");
        let (mut journal, entries) = Journal::open(Some(&path)).unwrap();
        assert_eq!(entries, []);
        journal.append(&Entry::Told { sequence: 1 }).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let second = [whole.clone(), b"{\"told\":{\"sequ".to_vec()].concat();
        for torn in [second.clone(), [whole.clone(), b"\xff".to_vec()].concat()] {
            std::fs::write(&path, torn).unwrap();
            let (mut journal, entries) = Journal::open(Some(&path)).unwrap();
            assert_eq!(entries, [Entry::Told { sequence: 1 }]);
            journal.append(&Entry::Told { sequence: 2 }).unwrap();
            let (_, entries) = Journal::open(Some(&path)).unwrap();
            assert_eq!(entries, [Entry::Told { sequence: 1 }, Entry::Told { sequence: 2 }]);
        }
        std::fs::write(&path, [second, b"\n".to_vec(), whole].concat()).unwrap();
        let error = Journal::open(Some(&path)).err().unwrap();
        assert!(error.contains("line 2"), "{error}");
    }
}
