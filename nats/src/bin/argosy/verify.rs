//! `argosy verify`: whether a running system is what it promises to be.
//!
//! | part | what is looked at |
//! |---|---|
//! | services | each checks its own invariants on its own database (`svc.<service>.audit`) |
//! | [`orders`] | goods, money, invoices and mails of each order, across the services |
//! | [`events`] | every event log against every inbox |
//! | [`broker`] | streams, buckets and consumers |
//!
//! Exit status: 0 when every invariant holds, 1 when one is violated, 2 when none is known to be, but not all could be found
//! out: NATS cannot be reached, or a service does not answer.
//!
//! Trap: a live system moves, and its parts are read at different moments. What was touched within the settle time is left
//! out; what seems wrong is looked at again, a few seconds later, before it is reported.

mod ask;
mod broker;
mod events;
mod judge;
mod merge;
mod orders;
mod report;

use std::{process::ExitCode, time::Duration};

use chrono::Utc;
use nats::{
    config::Settings,
    connect::{connect, jetstream},
    contracts::operations::Audit,
    invoke::Caller,
    topology::{OPERATOR, Topology},
};

use self::{
    ask::Asker,
    report::{Finding, Report, Violations},
};
use crate::{say, text};

/// How often what seems wrong is looked at again.
const LOOKS: usize = 3;
/// How long to wait before each of these looks.
const PAUSE: Duration = Duration::from_secs(3);
/// What is younger than this is left out, unless the caller says otherwise.
const SETTLE: Duration = Duration::from_secs(30);
/// The exit status when something could not be found out, and nothing is known to be violated.
const UNKNOWN: u8 = 2;

/// How to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Options {
    json: bool,
    settle: Duration,
}

impl Options {
    fn read(words: &[&str]) -> Result<Self, String> {
        let mut options = Self { json: false, settle: SETTLE };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--json" => options.json = true,
                "--settle" => {
                    let seconds = words.next().and_then(|seconds| seconds.parse::<u32>().ok());
                    let seconds = seconds.ok_or("--settle needs a number of seconds, such as `--settle 30`")?;
                    options.settle = Duration::from_secs(seconds.into());
                }
                other => return Err(format!("there is no option `{other}`; there are: --json, --settle SECONDS")),
            }
        }
        Ok(options)
    }
}

/// `argosy verify`: prints every invariant with its figures; the exit status tells.
pub(crate) async fn run(settings: &Settings, words: &[&str]) -> ExitCode {
    match verify(settings, words).await {
        Ok(report) if report.holds => ExitCode::SUCCESS,
        Ok(report) if report.unknown => ExitCode::from(UNKNOWN),
        Ok(_) => ExitCode::FAILURE,
        Err(reason) => {
            crate::fail(&format!("could not verify: {reason}"));
            ExitCode::from(UNKNOWN)
        }
    }
}

/// Looks, and prints what it found.
async fn verify(settings: &Settings, words: &[&str]) -> Result<Report, String> {
    let options = Options::read(words)?;
    let client = connect(settings, OPERATOR).await.map_err(text)?;
    let topology = Topology::embedded().map_err(text)?;
    let asker = Asker::new(Caller::new(client.clone()));
    let cutoff = Utc::now() - options.settle;
    let jetstream = jetstream(&client);
    let services = futures_util::future::join_all(topology.services().map(|service| audit(&asker, service)));
    let (services, orders, events, broker) = tokio::join!(
        services,
        orders::compare(&asker, cutoff),
        events::compare(&asker, &topology, cutoff),
        broker::look(&jetstream, &topology)
    );
    let findings = services.into_iter().flatten().chain(orders).chain(events).chain(broker).collect();
    let report = Report::of(findings, i64::try_from(options.settle.as_secs()).unwrap_or(i64::MAX));
    say(&if options.json { report.json().map_err(text)? } else { report.text() })?;
    Ok(report)
}

/// What a service finds in its own database; one that finds something wrong is asked again.
async fn audit(asker: &Asker, service: &str) -> Vec<Finding> {
    let mut looks = 0;
    loop {
        let report = match asker.ask(service, &Audit {}).await {
            Ok(report) => report,
            Err(reason) => {
                return vec![Finding::of(service, "it answers", "no answer", Violations::unknown(reason))];
            }
        };
        if looks < LOOKS && report.checks.iter().any(|check| !check.holds) {
            looks += 1;
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        return report.checks.into_iter().map(|check| Finding::told(service, check)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused() {
        let read = |words: &[&str]| Options::read(words).map(|options| (options.json, options.settle.as_secs()));
        assert_eq!(read(&[]), Ok((false, 30)));
        assert_eq!(read(&["--json"]), Ok((true, 30)));
        assert_eq!(read(&["--settle", "0", "--json"]), Ok((true, 0)));
        for wrong in [&["--settle"][..], &["--settle", "-1"], &["--settle", "soon"], &["--jsno"], &["order"]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
