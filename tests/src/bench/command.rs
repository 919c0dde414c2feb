//! `stack bench`: the options of the command line.

use std::{io::Write, path::PathBuf, time::Duration};

use super::{Options, run};
use crate::{Result, StackError, error::Doing, tools};

const HELP: &str = "stack bench: measure the system against the limits of this machine

  --rounds N       how often each side of a workload runs, by turns (3)
  --slice SECONDS  how long one side runs, each time (8)
  --only NAME      only workloads whose names begin with this
  --report FILE    where bench.json goes (target/bench.json)
  --directory DIR  where data and logs go (target/bench)";

/// Runs the command.
///
/// # Errors
/// An option that is not understood, or a run that could not be made.
pub fn command(arguments: &[&str]) -> Result<()> {
    let root = tools::root().join("target");
    let mut report = root.join("bench.json");
    let mut options =
        Options { rounds: 3, slice: Duration::from_secs(8), only: String::new(), directory: root.join("bench") };
    let mut words = arguments.iter();
    while let Some(name) = words.next() {
        if matches!(*name, "--help" | "-h") {
            say(HELP);
            return Ok(());
        }
        let value = words.next().ok_or_else(|| StackError::new(format!("{name} needs a value\n\n{HELP}")))?;
        let number = || value.parse::<u32>().doing(|| format!("read {name} {value}"));
        match *name {
            "--rounds" => options.rounds = usize::try_from(number()?).unwrap_or(1),
            "--slice" => options.slice = Duration::from_secs(number()?.max(1).into()),
            "--only" => (*value).clone_into(&mut options.only),
            "--report" => report = PathBuf::from(value),
            "--directory" => options.directory = PathBuf::from(value),
            _ => return Err(StackError::new(format!("{name} is not understood\n\n{HELP}"))),
        }
    }
    if options.directory.exists() {
        std::fs::remove_dir_all(&options.directory).doing(|| format!("empty {}", options.directory.display()))?;
    }
    std::fs::create_dir_all(&options.directory).doing(|| format!("make {}", options.directory.display()))?;
    options.directory = crate::scratch::reachable(&options.directory)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.doing(|| "start".to_owned())?.block_on(run(&options, say))?;
    std::fs::write(&report, outcome.json()).doing(|| format!("write {}", report.display()))?;
    say(&format!("\n{outcome}\n{}", report.display()));
    Ok(())
}

fn say(line: &str) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}
