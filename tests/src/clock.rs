//! Processes whose clocks can be set while they run, by libfaketime (the package `libfaketime`).
//!
//! The trap: only the time of day is shifted. Monotonic clocks, by which waits are counted, go on as they are.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Result, StackError, error::Doing};

/// Where Debian and Ubuntu put it, for whatever processor.
const PLACES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The library, if it is installed.
pub fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir(PLACES).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join(LIBRARY)).find(|library| library.is_file())
}

/// Has a program look into this file, once a second, how wrong its clock is.
///
/// # Errors
/// When the library is not installed.
pub(crate) fn follow(command: &mut Command, file: &Path) -> Result<()> {
    let library =
        library().ok_or_else(|| StackError::new("libfaketime is not installed: run `make setup`".to_owned()))?;
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", file);
    command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Ok(())
}

/// Sets the clocks of those who look into this file: so many seconds ahead.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn set(file: &Path, seconds: i32) -> Result<()> {
    std::fs::write(file, format!("{seconds:+}\n")).doing(|| format!("write {}", file.display()))
}
