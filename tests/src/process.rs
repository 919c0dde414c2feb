//! A child process that cannot outlive this program.
//!
//! - It is spawned from one thread that lives as long as the program, and the kernel signals it when that
//!   thread is gone: so it ends even when this program is killed with -9.
//! - It leads a process group of its own: Ctrl-C at the terminal reaches only us, and we stop the children
//!   in order; a hard kill takes its children too.
//! - Its output goes to a log file, whose last lines are part of the error when it does not start.
//!
//! The trap: dropping blocks until the process has ended (at most ten seconds, then it is killed). Use
//! [`Process::terminate`] where that matters.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use crate::error::Doing;
use crate::wait::wait_for;
use crate::{Result, StackError, cleanup, os};

/// How long a process has to end when asked, before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two looks at an ending process.
const LOOK: Duration = Duration::from_millis(2);
/// How much of a log an error shows.
const TAIL: usize = 15;

/// The signals that end a process.
#[derive(Clone, Copy, Debug)]
pub struct Signals {
    /// Asks it to stop in an orderly way.
    pub stop: i32,
    /// What the kernel sends when this program is gone without having stopped it.
    pub orphan: i32,
}

impl Default for Signals {
    /// SIGTERM, and SIGKILL for an orphan.
    fn default() -> Self {
        Self { stop: libc::SIGTERM, orphan: libc::SIGKILL }
    }
}

/// A running child process; dropping it stops it.
#[derive(Debug)]
pub struct Process {
    inner: Arc<Inner>,
    name: String,
    log: PathBuf,
    /// Where the log of the present run begins.
    log_from: u64,
    signals: Signals,
    /// Kept for [`Process::respawn`].
    command: Option<Command>,
}

/// The part of a process that the clean-up at the end of the program needs.
#[derive(Debug)]
pub(crate) struct Inner {
    child: Mutex<Child>,
    stop: i32,
}

impl Process {
    /// Spawns a command; its output is appended to `log`. `name` is for messages: "nats-server".
    pub fn spawn(name: &str, command: Command, log: &Path) -> Result<Self> {
        Self::spawn_with(name, command, log, Signals::default())
    }

    /// The same, for a program that wants other signals.
    pub fn spawn_with(name: &str, mut command: Command, log: &Path, signals: Signals) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.doing(|| format!("write the log {}", log.display()))?;
        let also = file.try_clone().doing(|| format!("write the log {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file).stderr(also).process_group(0);
        os::die_with_parent(&mut command, signals.orphan);
        let (inner, log_from, command) = launch(name, command, log, signals)?;
        let (name, log) = (name.to_owned(), log.to_owned());
        Ok(Self { inner, name, log, log_from, signals, command: Some(command) })
    }

    /// Runs the same command again, after the process has ended or been killed.
    pub fn respawn(&mut self) -> Result<()> {
        if self.is_running() {
            return Err(StackError::new(format!("{} is still running: stop it before starting it again", self.name)));
        }
        let command = self.command.take();
        let command = command.ok_or_else(|| StackError::new(format!("{} could not be started before", self.name)))?;
        let (inner, log_from, command) = launch(&self.name, command, &self.log, self.signals)?;
        (self.inner, self.log_from, self.command) = (inner, log_from, Some(command));
        Ok(())
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.inner.child().id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.inner.exited()
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.exited().is_none()
    }

    /// Sends any signal (SIGHUP, SIGSTOP …); a process that has ended is left alone.
    pub fn signal(&self, signal: i32) -> Result<()> {
        self.inner.signal(signal).doing(|| format!("send signal {signal} to {}", self.name))
    }

    /// Holds the process where it is (SIGSTOP): it lives, keeps its connections, and says nothing.
    pub fn pause(&self) -> Result<()> {
        self.signal(libc::SIGSTOP)
    }

    /// Lets a held process go on (SIGCONT).
    pub fn resume(&self) -> Result<()> {
        self.signal(libc::SIGCONT)
    }

    /// The numbers of its own children, as the kernel tells them now.
    pub(crate) fn children(&self) -> Vec<u32> {
        let parent = self.pid();
        let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        numbers.filter(|number| parent_of(*number) == Some(parent)).collect()
    }

    /// The memory it holds, in bytes; 0 once it has ended.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        resident.and_then(|kilobytes| kilobytes.trim().parse::<u64>().ok()).unwrap_or_default() * 1024
    }

    /// Asks the process to stop, and does not wait.
    pub fn ask_to_stop(&self) {
        self.inner.ask_to_stop();
    }

    /// Asks the process to stop and waits until it has; kills it when it takes longer than ten seconds.
    pub async fn terminate(&self) {
        self.terminate_within(PATIENCE).await;
    }

    /// The same with another bound. Answers whether it stopped by itself.
    pub async fn terminate_within(&self, bound: Duration) -> bool {
        self.inner.ask_to_stop();
        let deadline = Instant::now() + bound;
        while self.is_running() {
            if Instant::now() >= deadline {
                self.inner.kill();
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }

    /// Kills the process and its process group at once (-9).
    pub fn kill(&self) {
        self.inner.kill();
    }

    /// Waits until `probe` answers `Ok(Some(_))`, at most `bound`; fails at once when the process ends before.
    /// The error has the last lines of the log.
    pub async fn until_ready<T, E, Probe>(&self, bound: Duration, probe: impl FnMut() -> Probe) -> Result<T>
    where
        E: Display,
        Probe: Future<Output = std::result::Result<Option<T>, E>>,
    {
        let what = format!("{} to answer", self.name);
        tokio::select! {
            biased;
            ready = wait_for(&what, bound, probe) => ready.map_err(|error| self.explain(&error.to_string())),
            status = self.ended() => Err(self.explain(&format!("{} ended while starting ({status})", self.name))),
        }
    }

    async fn ended(&self) -> ExitStatus {
        loop {
            if let Some(status) = self.exited() {
                return status;
            }
            tokio::time::sleep(LOOK * 5).await;
        }
    }

    /// An error with the last lines that the present run wrote.
    fn explain(&self, message: &str) -> StackError {
        let from = usize::try_from(self.log_from).unwrap_or(usize::MAX);
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes.get(from..).unwrap_or_default());
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n  ");
        let message = format!("{message}. The end of {}:\n  {tail}", self.log.display());
        let lower = text.to_lowercase();
        if lower.contains("address already in use") || lower.contains("eaddrinuse") {
            StackError::port_taken(message)
        } else {
            StackError::new(message)
        }
    }
}

impl Inner {
    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exited(&self) -> Option<ExitStatus> {
        // An error would mean that somebody else reaped it: gone all the same.
        self.child().try_wait().unwrap_or_else(|_| Some(ExitStatus::default()))
    }

    /// Under the lock and only if not reaped: else the number may be another process's by now.
    fn signal(&self, signal: i32) -> std::io::Result<()> {
        let mut child = self.child();
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        os::send(child.id(), signal)
    }

    pub(crate) fn ask_to_stop(&self) {
        let _ = self.signal(self.stop);
        // One that is held does not hear it until it goes on.
        let _ = self.signal(libc::SIGCONT);
    }

    fn kill(&self) {
        let mut child = self.child();
        if matches!(child.try_wait(), Ok(None)) {
            let _ = os::send_group(child.id(), libc::SIGKILL);
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Blocks until it has ended; kills it at the deadline.
    pub(crate) fn wait_until(&self, deadline: Instant) {
        while self.exited().is_none() {
            if Instant::now() >= deadline {
                return self.kill();
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "also runs in the exit hook, where no runtime is left to wait on"
            )]
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.ask_to_stop();
        self.wait_until(Instant::now() + PATIENCE);
    }
}

/// The parent of a process: the second value behind the name, which stands in brackets and may hold anything.
fn parent_of(number: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

type Launched = (Command, std::io::Result<Child>);
type Order = (Command, mpsc::Sender<Launched>);

/// Hands the command to the spawning thread.
fn launch(name: &str, command: Command, log: &Path, signals: Signals) -> Result<(Arc<Inner>, u64, Command)> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, taken) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in taken {
                let child = command.spawn();
                let _ = answer.send((command, child));
            }
        });
        orders
    });
    let program = command.get_program().to_string_lossy().into_owned();
    let log_from = log.metadata().map_or(0, |log| log.len());
    let (answer, answered) = mpsc::channel();
    spawner.send((command, answer)).doing(|| format!("start {name}"))?;
    let (command, child) = answered.recv().doing(|| format!("start {name}"))?;
    let child = child.doing(|| format!("start {name} ({program})"))?;
    let inner = Arc::new(Inner { child: Mutex::new(child), stop: signals.stop });
    cleanup::remember(Arc::downgrade(&inner));
    Ok((inner, log_from, command))
}
