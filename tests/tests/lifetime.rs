//! Nothing outlives the program that started it, whatever way that program ends.
//!
//! The programs that end are this test binary, run again with one test and a variable that wakes it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stack::process::Process;
use stack::scratch::Scratch;
use stack::wait::wait_for;

const BOUND: Duration = Duration::from_secs(10);
const END: &str = "STACK_TEST_END";
const REPORT: &str = "STACK_TEST_REPORT";

/// The program that ends: starts a child that would run on, writes down its number and its directory, and then
/// returns from `main` or waits to be killed. Its values are never dropped. Without the variable it is idle.
#[test]
fn the_program_that_ends() {
    let (Ok(end), Ok(report)) = (std::env::var(END), std::env::var(REPORT)) else { return };
    let scratch = Scratch::new("child").unwrap();
    std::fs::write(scratch.path().join("file"), "x").unwrap();
    let child = Process::spawn("sleep", long_sleep(), &scratch.path().join("log")).unwrap();
    let lines = format!("{}\n{}\n", child.pid(), scratch.path().display());
    std::fs::write(format!("{report}.new"), lines).unwrap();
    std::fs::rename(format!("{report}.new"), report).unwrap();
    std::mem::forget((scratch, child));
    if end == "kill" {
        // Lives until the parent kills it.
        std::thread::park_timeout(Duration::from_secs(600));
    }
}

fn long_sleep() -> Command {
    let mut command = Command::new("sleep");
    command.arg("600");
    command
}

fn run(end: &str, report: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["lifetime::the_program_that_ends", "--exact"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.env(END, end).env(REPORT, report);
    command
}

fn read(report: &Path) -> Option<(u32, PathBuf)> {
    let text = std::fs::read_to_string(report).ok()?;
    let mut lines = text.lines();
    Some((lines.next()?.parse().ok()?, PathBuf::from(lines.next()?)))
}

/// A zombie that nobody has reaped yet does not run any more.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_child_dies_with_a_parent_killed_by_9() {
    let scratch = Scratch::new("report").unwrap();
    let report = scratch.path().join("report");
    let log = scratch.path().join("log");
    let program = Process::spawn("the program that ends", run("kill", &report), &log).unwrap();
    let (child, dir) = wait_for("the report", BOUND, async || Ok::<_, String>(read(&report))).await.unwrap();
    assert!(runs(child));
    assert!(dir.exists());

    // Only the program itself, not its process group.
    program.signal(libc::SIGKILL).unwrap();
    wait_for("the child's end", BOUND, async || Ok::<_, String>((!runs(child)).then_some(()))).await.unwrap();

    // What it left is removed by the next program that wants a scratch directory (be it another test's).
    let next = scratch.path().join("next");
    assert!(run("return", &next).status().unwrap().success());
    assert!(!dir.exists());
}

#[test]
fn nothing_is_left_when_a_program_returns() {
    let scratch = Scratch::new("report").unwrap();
    let report = scratch.path().join("report");
    assert!(run("return", &report).status().unwrap().success());
    let (child, dir) = read(&report).unwrap();
    assert!(!runs(child));
    assert!(!dir.exists());
    assert!(!dir.parent().unwrap().exists());
}

#[tokio::test]
async fn dropping_stops_and_removes() {
    let scratch = Scratch::new("drop").unwrap();
    let dir = scratch.path().to_path_buf();
    let process = Process::spawn("sleep", long_sleep(), &dir.join("log")).unwrap();
    let pid = process.pid();
    assert!(runs(pid));
    drop((process, scratch));
    assert!(!runs(pid));
    assert!(!dir.exists());
}

#[tokio::test]
async fn who_does_not_listen_is_killed_with_his_children() {
    let scratch = Scratch::new("deaf").unwrap();
    let said = scratch.path().join("log");
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' TERM; sleep 600 & echo child $!; wait"]);
    let mut process = Process::spawn("deaf", command, &said).unwrap();
    let child = async || {
        let log = std::fs::read_to_string(&said).map_err(|error| error.to_string())?;
        Ok::<_, String>(log.lines().last().and_then(|line| line.strip_prefix("child ")?.parse::<u32>().ok()))
    };
    let grandchild = process.until_ready(BOUND, child).await.unwrap();
    let begin = Instant::now();
    assert!(!process.terminate_within(Duration::from_millis(50)).await);
    assert!(begin.elapsed() < BOUND);
    assert!(!process.is_running());
    wait_for("the grandchild's end", BOUND, async || Ok::<_, String>((!runs(grandchild)).then_some(()))).await.unwrap();

    process.respawn().unwrap();
    assert!(process.is_running());
    assert!(process.respawn().unwrap_err().to_string().contains("still running"));
    process.kill();
    assert!(!process.is_running());
}

#[tokio::test]
async fn a_program_that_cannot_start_is_named() {
    let scratch = Scratch::new("none").unwrap();
    let error = Process::spawn("nothing", Command::new("/no/such/program"), &scratch.path().join("log")).unwrap_err();
    assert!(error.to_string().contains("nothing (/no/such/program)"), "{error}");

    let mut command = Command::new("sh");
    command.args(["-c", "echo it is broken; exit 3"]);
    let process = Process::spawn("broken", command, &scratch.path().join("log")).unwrap();
    let error = process.until_ready(BOUND, async || Ok::<Option<()>, String>(None)).await.unwrap_err();
    assert!(error.to_string().contains("broken ended while starting (exit status: 3)"), "{error}");
    assert!(error.to_string().contains("it is broken"), "{error}");
}
