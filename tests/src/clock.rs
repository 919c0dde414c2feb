//! Processes whose clocks are wrong, by libfaketime (the package `libfaketime`).
//!
//! The trap: only the time of day is shifted. Monotonic clocks, by which waits are counted, go on as they are.

use std::{path::PathBuf, process::Command};

use crate::{Result, StackError};

/// Where Debian and Ubuntu put it, for whatever processor.
const PLACES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The library, if it is installed.
pub fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir(PLACES).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join(LIBRARY)).find(|library| library.is_file())
}

/// Has a program believe that it is so many seconds later.
///
/// # Errors
/// When the library is not installed.
pub(crate) fn shift(command: &mut Command, seconds: i32) -> Result<()> {
    let library =
        library().ok_or_else(|| StackError::new("libfaketime is not installed: run `make setup`".to_owned()))?;
    command.env("LD_PRELOAD", library).env("FAKETIME", format!("{seconds:+}")).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Ok(())
}
