//! What a document's process runs inside: small programs, put before the command where they work.
//!
//! | program | gives |
//! |---|---|
//! | `unshare --net` | no network at all, not even localhost |
//! | `setpriv` | no new privileges; dies with this process, even if that is killed |
//! | `prlimit` | bounds on memory, processor time and file size, no core file |
//!
//! The trap: containers often forbid namespaces, and slim images lack programs. Each is tried once, and left out if it
//! does not work: WeasyPrint's own `--allowed-protocols` is the fence, this is the ditch behind it. The order matters
//! too: entering a user namespace forgets the death signal, so `unshare` comes first.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A document that needs more address space than this is none of ours: a long invoice takes 0.4 GB.
const ADDRESS_SPACE: u64 = 1 << 30;

/// The wrappers that work here, ready to put before a command.
#[derive(Debug)]
pub(super) struct Sandbox {
    prefix: Vec<OsString>,
}

impl Sandbox {
    /// Tries what this machine allows. Starts up to five short processes.
    pub(super) fn probe(deadline: Duration, max_file_bytes: u64) -> Self {
        let seconds = deadline.as_secs().saturating_add(1);
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
            format!("--as={ADDRESS_SPACE}"),
            format!("--cpu={seconds}:{}", seconds.saturating_add(2)),
            format!("--fsize={max_file_bytes}"),
            "--core=0".into(),
            "--".into(),
        ]]);
        tracing::debug!(
            network = network.is_some(),
            privileges = privileges.is_some(),
            limits = limits.is_some(),
            "what a document's process is locked into besides WeasyPrint's own flags"
        );
        let prefix = [network, privileges, limits].into_iter().flatten().flatten().collect();
        Self { prefix }
    }

    /// A command that runs the program inside.
    pub(super) fn command(&self, program: &Path) -> Command {
        match self.prefix.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        }
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
