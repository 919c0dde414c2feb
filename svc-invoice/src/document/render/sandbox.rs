//! What a document's process runs inside: small programs, put before the command where they work.
//!
//! | program | gives |
//! |---|---|
//! | `unshare --net` | no network at all, not even localhost |
//! | `setpriv` | no new privileges; dies with this process, even if that is killed |
//! | `prlimit` | bounds on memory, processor time and file size, no core file; the fork server sets them for each document |
//!
//! The trap: containers often forbid namespaces, and slim images lack programs. Each is tried once, and left out if it
//! does not work: WeasyPrint's own `--allowed-protocols` is the fence, this is the ditch behind it. The order matters
//! too: entering a user namespace forgets the death signal, so `unshare` comes first.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The wrappers that work here, ready to put before a command.
#[derive(Debug)]
pub(super) struct Sandbox {
    fence: Vec<OsString>,
    limits: Vec<OsString>,
}

/// What one document may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Seconds of a processor.
    pub(super) seconds: u64,
    /// Address space, in bytes.
    pub(super) memory: u64,
    /// The largest file it may write, in bytes.
    pub(super) file_bytes: u64,
}

impl Sandbox {
    /// Tries what this machine allows. Starts up to five short processes.
    pub(super) fn probe(bounds: Limits) -> Self {
        let network = first_that_works(&[
            vec!["unshare".into(), "--net".into(), "--".into()],
            vec!["unshare".into(), "--user".into(), "--map-current-user".into(), "--net".into(), "--".into()],
        ]);
        let privileges = first_that_works(&[vec![
            "setpriv".into(),
            "--no-new-privs".into(),
            "--pdeathsig".into(),
            "KILL".into(),
            "--".into(),
        ]]);
        let limits = first_that_works(&[vec![
            "prlimit".into(),
            format!("--as={}", bounds.memory),
            format!("--cpu={}:{}", bounds.seconds, bounds.seconds.saturating_add(2)),
            format!("--fsize={}", bounds.file_bytes),
            "--core=0".into(),
            "--".into(),
        ]]);
        tracing::debug!(
            network = network.is_some(),
            privileges = privileges.is_some(),
            limits = limits.is_some(),
            "what a document's process is locked into besides WeasyPrint's own fence"
        );
        let fence = [network, privileges].into_iter().flatten().flatten().collect();
        Self { fence, limits: limits.unwrap_or_default() }
    }

    /// A command that runs the program for one document inside.
    pub(super) fn command(&self, program: &Path) -> Command {
        wrapped(self.fence.iter().chain(&self.limits), program)
    }

    /// A command that runs the program inside, without the limits of one document.
    pub(super) fn server(&self, program: &Path) -> Command {
        wrapped(self.fence.iter(), program)
    }
}

fn wrapped<'a>(mut wrappers: impl Iterator<Item = &'a OsString>, program: &Path) -> Command {
    match wrappers.next() {
        Some(first) => {
            let mut command = Command::new(first);
            command.args(wrappers).arg(program);
            command
        }
        None => Command::new(program),
    }
}

fn first_that_works(candidates: &[Vec<String>]) -> Option<Vec<OsString>> {
    candidates.iter().find_map(|candidate| works(candidate))
}

/// The wrapper with its full path, if it can run a program that does nothing.
fn works(wrapper: &[String]) -> Option<Vec<OsString>> {
    let (program, arguments) = wrapper.split_first()?;
    let status = Command::new(system(program)?)
        .args(arguments)
        .arg(system("true")?)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !status.is_ok_and(|status| status.success()) {
        return None;
    }
    let path = system(program)?.into_os_string();
    Some(std::iter::once(path).chain(arguments.iter().map(OsString::from)).collect())
}

/// A program of the system, not of whoever set PATH.
fn system(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
}
