//! `stack`: starts the whole system, and generates its documents.

use std::{io::Write, process::ExitCode};

use stack::generate;

const HELP: &str = "stack: the whole system on real parts

  stack up                start everything, with demo data, until Ctrl-C
  stack seed              put the demo data in (GATEWAY_URL, NATS_URL, NATS_SEED_FILE of the operator)
  stack generate          write the generated documents that are stale
  stack generate --check  fail when a generated document is stale
  stack chaos             break the system under load (--help says how)
  stack bench             measure the system against this machine's limits (--help says how)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["up"] => stack::up::run(),
        ["seed"] => stack::seed::run(),
        ["generate"] => write_documents(),
        ["generate", "--check"] => check_documents(),
        ["chaos", arguments @ ..] => stack::chaos::command(arguments),
        ["bench", arguments @ ..] => stack::bench::command::command(arguments),
        // What `stack bench` compares with; it needs a process of its own.
        ["serve-bytes", port, file] => stack::bench::serve_bytes(port, file),
        _ => Err(stack::StackError::new(HELP)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _closed = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}

fn write_documents() -> stack::Result<()> {
    let documents = generate::documents(&generate::manifests()?)?;
    let written = generate::write(&documents)?;
    written.iter().for_each(|path| say(&format!("wrote {path}")));
    if written.is_empty() {
        say("every generated document is up to date");
    } else {
        say("build again: the gateway and `argosy` embed what was written");
    }
    Ok(())
}

fn check_documents() -> stack::Result<()> {
    let documents = generate::documents(&generate::manifests()?)?;
    let stale: Vec<&str> = generate::stale(&documents).iter().map(|document| document.path).collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(stack::StackError::new(format!("stale: {}; run `make generate` and commit", stale.join(", "))))
}
