//! `stack chaos`: the options of the command line, and the files that a run leaves.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Options, run};
use crate::{Result, StackError, error::Doing, tools};

/// What the command understands.
const HELP: &str = "stack chaos: break the system under load, and prove that no promise was broken

  --seed N             what the faults and the load are made from; a random one when absent
  --duration SECONDS   how long the load lasts (600)
  --rate N             new orders a second (10)
  --faults on|off      off: only the load, to see what is usual (on)
  --instances N        of each service and of the gateway (2)
  --longest SECONDS    no fault stays for longer (6)
  --drain SECONDS      how long to wait for invoices to be rendered (600)
  --report FILE        where the report goes (the directory's report.md)
  --directory DIR      where data, logs and the history go (target/chaos/SEED)";

/// Runs the command; an error when a promise was broken.
///
/// # Errors
/// An option that is not understood, a run that could not be made, or one that failed.
pub fn command(arguments: &[&str]) -> Result<()> {
    let Some((mut options, report)) = parse(arguments)? else {
        say(HELP);
        return Ok(());
    };
    if options.directory.exists() {
        std::fs::remove_dir_all(&options.directory).doing(|| format!("empty {}", options.directory.display()))?;
    }
    std::fs::create_dir_all(&options.directory).doing(|| format!("make {}", options.directory.display()))?;
    options.directory = crate::scratch::reachable(&options.directory)?;
    say(&format!("seed {}; data, logs and history are in {}", options.seed, options.directory.display()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.doing(|| "start".to_owned())?.block_on(run(&options, say))?;
    let report = report.unwrap_or_else(|| options.directory.join("report.md"));
    write(&report, &outcome.to_string())?;
    say(&format!("the report is {}", report.display()));
    let failures = outcome.failures();
    if failures.is_empty() {
        say("every promise was kept");
        return Ok(());
    }
    Err(StackError::new(format!("seed {} failed:\n- {}", options.seed, failures.join("\n- "))))
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).doing(|| format!("make {}", parent.display()))?;
    }
    std::fs::write(path, text).doing(|| format!("write {}", path.display()))
}

fn say(line: &str) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}

/// The options and where the report goes; nothing when help is asked for.
fn parse(arguments: &[&str]) -> Result<Option<(Options, Option<PathBuf>)>> {
    let mut options = Options {
        seed: rand::random::<u64>() % 1_000_000,
        duration: Duration::from_secs(600),
        rate: 10,
        faults: true,
        longest: Duration::from_secs(6),
        instances: 2,
        buyers: 30,
        drain: Duration::from_secs(600),
        directory: PathBuf::new(),
    };
    let (mut report, mut directory) = (None, None);
    let mut words = arguments.iter();
    while let Some(name) = words.next() {
        if matches!(*name, "--help" | "-h") {
            return Ok(None);
        }
        let value = words.next().ok_or_else(|| StackError::new(format!("{name} needs a value\n\n{HELP}")))?;
        match *name {
            "--seed" => options.seed = number(name, value)?,
            "--duration" => options.duration = Duration::from_secs(number(name, value)?),
            "--rate" => options.rate = number(name, value)?,
            "--faults" if matches!(*value, "on" | "off") => options.faults = *value == "on",
            "--instances" => options.instances = number(name, value)?,
            "--longest" => options.longest = Duration::from_secs(number(name, value)?),
            "--drain" => options.drain = Duration::from_secs(number(name, value)?),
            "--report" => report = Some(PathBuf::from(value)),
            "--directory" => directory = Some(PathBuf::from(value)),
            _ => return Err(StackError::new(format!("`{name}` is no option of stack chaos\n\n{HELP}"))),
        }
    }
    if options.rate == 0 || options.instances == 0 || options.longest.is_zero() {
        return Err(StackError::new("--rate, --instances and --longest must be at least 1"));
    }
    options.directory = directory.unwrap_or_else(|| tools::root().join(format!("target/chaos/{}", options.seed)));
    Ok(Some((options, report)))
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| StackError::new(format!("{name}: `{value}` is not a whole number that fits")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_nonsense_is_refused_with_the_help() {
        let (options, report) = parse(&["--seed", "7", "--duration", "90", "--report", "r.md"]).unwrap().unwrap();
        assert_eq!((options.seed, options.duration, report), (7, Duration::from_secs(90), Some("r.md".into())));
        assert!(options.directory.ends_with("target/chaos/7"));
        assert!(parse(&["--help"]).unwrap().is_none());
        for wrong in [&["--seed"][..], &["--seed", "x"], &["--rate", "0"], &["--speed", "1"]] {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong[0]) || error.contains("at least 1"), "{error}");
        }
    }
}
