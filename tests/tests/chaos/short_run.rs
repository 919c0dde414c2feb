//! Two minutes of chaos: every kind of fault at least once, every part killed.

use std::{path::Path, time::Duration};

use stack::{
    chaos::{Options, run},
    scratch::Scratch,
    tools,
};

use super::MACHINE;

/// The schedule and the load that everybody gets; `CHAOS_SEED` chooses another.
const SEED: u64 = 20_261_121;

#[tokio::test(flavor = "multi_thread")]
async fn no_promise_is_broken_whatever_breaks() {
    let _alone = MACHINE.lock().await;
    let seed = std::env::var("CHAOS_SEED").map_or(SEED, |seed| seed.parse().expect("CHAOS_SEED is a number"));
    let scratch = Scratch::new("chaos").unwrap();
    let options = Options {
        seed,
        // The round that every kind of fault is in takes longer.
        duration: Duration::from_secs(60),
        rate: 4,
        faults: true,
        longest: Duration::from_millis(1_500),
        instances: 2,
        buyers: 12,
        drain: Duration::from_secs(10),
        directory: scratch.path().to_owned(),
    };
    let outcome = run(&options, |step| println!("{step}")).await;

    let failures =
        outcome.as_ref().map_or_else(|error| vec![error.to_string()], stack::chaos::report::Report::failures);
    if !failures.is_empty() {
        let kept = tools::root().join(format!("target/chaos/failed-{seed}"));
        keep(scratch.path(), &kept);
        let report = outcome.map(|report| report.to_string()).unwrap_or_default();
        std::fs::write(kept.join("report.md"), &report).unwrap();
        let repeat = format!("repeat it with CHAOS_SEED={seed}; history and logs are in {}", kept.display());
        panic!("{}\n\n{repeat}\n\n{report}", failures.join("\n"));
    }
}

/// What explains a failure outlives the test: the history and the logs.
fn keep(from: &Path, to: &Path) {
    let _first = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    let logs = std::fs::read_dir(from.join("system/logs")).into_iter().flatten().flatten().map(|entry| entry.path());
    for file in logs.chain([from.join("history.jsonl")]).filter(|file| file.is_file()) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}
