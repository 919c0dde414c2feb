//! The folder that WeasyPrint runs in: private, nothing in it but a font cache and what one run needs, gone with the
//! renderer.

use std::fs::{DirBuilder, write};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

const ROOM: &str = "argosy-weasyprint";
/// Kept mapped until the process is gone.
const PRELOAD: &str = "libpangoft2-1.0.so.0:libharfbuzz-subset.so.0";

/// A folder of one renderer.
#[derive(Debug)]
pub(super) struct Room {
    path: PathBuf,
    runs: AtomicU64,
}

impl Room {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = std::env::temp_dir();
        clear_after_the_dead(&temporary);
        // Nobody can guess it, so nobody can have made it before.
        let secret = format!("{:032x}", rand::random::<u128>());
        let name = format!("{ROOM}-{}-{count}-{secret}", std::process::id());
        Self { path: temporary.join(name), runs: AtomicU64::new(0) }
    }

    /// Makes the folder, each time: whoever cleans the temporary files cleans this one too.
    pub(super) fn enter(&self) -> io::Result<()> {
        folder(&self.path)
    }

    /// Writes a file that every run may use.
    pub(super) fn place(&self, name: &str, content: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        write(&path, content)?;
        Ok(path)
    }

    /// A folder for one run alone.
    pub(super) fn desk(&self) -> io::Result<Desk> {
        let path = self.path.join(format!("run-{}", self.runs.fetch_add(1, Ordering::Relaxed)));
        folder(&path)?;
        Ok(Desk { path })
    }

    /// Lets the command run here, with an environment of its own.
    pub(super) fn furnish(&self, command: &mut Command) {
        command
            .current_dir(&self.path)
            .env_clear()
            // Python looks for libraries with the compiler and the linker, 86 processes, unless it finds none.
            .env("PATH", "/nonexistent")
            .env("LC_ALL", "C.UTF-8")
            .env("LD_PRELOAD", PRELOAD)
            .env("HOME", &self.path)
            .env("TMPDIR", &self.path)
            .env("PYTHONNOUSERSITE", "1");
        for name in ["FONTCONFIG_FILE", "FONTCONFIG_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Nothing of value is in it; the system's cleaner takes what cannot be removed.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The files of one run, gone with it.
#[derive(Debug)]
pub(super) struct Desk {
    path: PathBuf,
}

impl Desk {
    /// Writes a file.
    pub(super) fn place(&self, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        write(&path, content)?;
        Ok(path)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // It goes with the room at the latest.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes the folders of processes that were killed. Should one of them live where we cannot see it, it makes its folder
/// again with its next document.
fn clear_after_the_dead(temporary: &Path) {
    for entry in std::fs::read_dir(temporary).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(ROOM)?.split('-').nth(1)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
