//! One run of one program: bytes in, bytes out, and an end in any case.
//!
//! The trap: a program that is killed may leave children that keep the pipes open, and a reader would wait for them
//! for ever. So the child leads its own process group, the group is killed as one, and nobody waits without a bound.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How often a run looks whether anybody still wants its result.
pub(super) const GLANCE: Duration = Duration::from_millis(50);
/// How long a program that closed its output may take to end.
const FAREWELL: Duration = Duration::from_millis(2);
/// How much is kept of what the program complains.
pub(super) const COMPLAINT: usize = 4096;

/// How a run ended.
#[derive(Debug)]
pub(super) enum End {
    /// By itself.
    Exited(ExitStatus),
    /// Killed at the deadline.
    Late,
    /// Killed because it wrote too much.
    Flood,
    /// Killed because nobody wanted the result any more.
    Abandoned,
}

/// What a run left.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) end: End,
    pub(super) output: Vec<u8>,
    /// The last lines of standard error.
    pub(super) complaint: String,
}

impl Outcome {
    /// The signal that ended it, other than one of ours.
    pub(super) fn signal(&self) -> Option<i32> {
        match &self.end {
            End::Exited(status) => status.signal(),
            _ => None,
        }
    }
}

/// The bounds of a run.
pub(super) struct Bounds<'a> {
    pub(super) until: Instant,
    pub(super) max_output: usize,
    pub(super) abandoned: &'a AtomicBool,
}

/// Runs the command to its end, or to ours. Blocks.
pub(super) fn run(mut command: Command, input: &Arc<str>, bounds: &Bounds<'_>) -> std::io::Result<Outcome> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        let input = Arc::clone(input);
        // A program that ends without reading breaks the pipe; its exit status tells more than that.
        thread::spawn(move || pipe.write_all(input.as_bytes()));
    }
    let complaint = child.stderr.take().map(|pipe| in_background(move || last_bytes(pipe, COMPLAINT)));
    let max_output = bounds.max_output;
    let output = child.stdout.take().map(|pipe| in_background(move || up_to(pipe, max_output)));

    let (end, output) = follow(&mut child, output.as_ref(), bounds);
    if !matches!(end, End::Exited(_)) {
        kill_group(&mut child);
    }
    let complaint = complaint.and_then(|bytes| bytes.recv_timeout(GLANCE).ok()).unwrap_or_default();
    Ok(Outcome { end, output, complaint: last_lines(&complaint) })
}

/// Waits for the output's end and the child's, as long as the bounds allow.
#[expect(clippy::disallowed_methods, reason = "this thread is one for blocking work, not a worker of the runtime")]
fn follow(child: &mut Child, output: Option<&Receiver<Vec<u8>>>, bounds: &Bounds<'_>) -> (End, Vec<u8>) {
    let mut bytes = Vec::new();
    while let Some(output) = output {
        if bounds.abandoned.load(Ordering::Relaxed) {
            return (End::Abandoned, bytes);
        }
        let left = bounds.until.saturating_duration_since(Instant::now());
        match output.recv_timeout(left.min(GLANCE)) {
            Ok(all) => {
                bytes = all;
                break;
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return (End::Late, bytes),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    if bytes.len() > bounds.max_output {
        return (End::Flood, bytes);
    }
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return (End::Exited(status), bytes),
            Ok(None) if Instant::now() < bounds.until => thread::sleep(FAREWELL),
            Ok(None) | Err(_) => return (End::Late, bytes),
        }
    }
}

/// Kills the child and all that it started, and takes its leave.
pub(super) fn kill_group(child: &mut Child) {
    // The standard library signals only single processes; every POSIX shell can signal a group. The child is not
    // waited for yet, so its number cannot have passed to another group.
    let group = Command::new("/bin/sh")
        .args(["-c", "kill -KILL \"-$1\"", "sh", &child.id().to_string()])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !group.as_ref().is_ok_and(ExitStatus::success) {
        tracing::warn!(?group, "a document's process group could not be killed as one");
    }
    if let Err(problem) = child.kill().and_then(|()| child.wait().map(|_| ())) {
        tracing::warn!(%problem, "a document's process could not be killed");
    }
}

pub(super) fn in_background(work: impl FnOnce() -> Vec<u8> + Send + 'static) -> Receiver<Vec<u8>> {
    let (done, result): (SyncSender<Vec<u8>>, _) = sync_channel(1);
    thread::spawn(move || done.send(work()));
    result
}

/// The pipe's bytes, and one more than the limit when there are more.
fn up_to(pipe: impl Read, limit: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    // A broken read leaves half a document, which the caller sees by its missing end.
    let _ = pipe.take(limit).read_to_end(&mut bytes);
    bytes
}

/// The pipe's last bytes; all are read, so that the writer never waits.
pub(super) fn last_bytes(mut pipe: impl Read, limit: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut piece) {
        kept.extend_from_slice(piece.get(..count).unwrap_or_default());
        let surplus = kept.len().saturating_sub(limit);
        kept.drain(..surplus);
    }
    kept
}

/// The last eight lines, without the loader's remarks about libraries that it could not preload.
pub(super) fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let told = |line: &&str| !line.trim().is_empty() && !line.contains("cannot be preloaded");
    let lines: Vec<&str> = text.lines().filter(told).collect();
    lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn shell(script: &str, input: &str, limit: usize, within: Duration) -> Outcome {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let abandoned = AtomicBool::new(false);
        let bounds = Bounds { until: Instant::now() + within, max_output: limit, abandoned: &abandoned };
        run(command, &Arc::from(input), &bounds).unwrap()
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn bytes_go_in_and_come_out() {
        let megabyte = "x".repeat(1 << 20);
        let outcome = shell("echo a note >&2; cat", &megabyte, 2 << 20, LONG);
        assert_eq!(outcome.output.len(), megabyte.len());
        assert_eq!(outcome.complaint, "a note");
        assert!(matches!(outcome.end, End::Exited(status) if status.success()));
    }

    #[test]
    fn a_program_that_reads_nothing_and_complains_much_does_not_hang() {
        let outcome = shell("yes complaint | head -c 1000000 >&2; exit 3", &"x".repeat(1 << 20), 10, LONG);
        assert!(matches!(outcome.end, End::Exited(status) if status.code() == Some(3)));
        assert_eq!(outcome.complaint.lines().count(), 8);
    }

    #[test]
    fn a_flood_is_stopped() {
        let outcome = shell("yes", "", 1000, LONG);
        assert!(matches!(outcome.end, End::Flood));
    }

    #[test]
    fn a_signal_is_told_from_an_exit() {
        assert_eq!(shell("kill -SEGV $$", "", 10, LONG).signal(), Some(11));
        assert_eq!(shell("exit 1", "", 10, LONG).signal(), None);
    }

    #[test]
    fn at_the_deadline_the_children_die_too() {
        let began = Instant::now();
        let outcome = shell("sleep 600 & echo $! >&2; wait", "", 10, Duration::from_millis(300));
        assert!(matches!(outcome.end, End::Late));
        assert!(began.elapsed() < LONG);
        let state = format!("/proc/{}/stat", outcome.complaint.trim());
        // Gone, or a zombie that its new parent has yet to collect.
        let alive = || std::fs::read_to_string(&state).is_ok_and(|stat| !stat.contains(") Z "));
        let bound = Instant::now() + LONG;
        while alive() {
            assert!(Instant::now() < bound, "the grandchild outlived the deadline");
            thread::yield_now();
        }
    }
}
