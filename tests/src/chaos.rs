//! The chaos run: the whole system under load, broken again and again, and the proof that no promise was broken with it.
//!
//! `stack chaos --seed 7 --duration 600 --rate 20 --report report.md`, or `make chaos SEED=7 DURATION=600`.
//!
//! | part | file |
//! |---|---|
//! | who and what there is | [`world`] |
//! | what they do, as good clients do | [`workload`], [`client`] |
//! | every request and its answer | [`history`] |
//! | what is broken, and when | [`fault`], [`nemesis`] |
//! | waiting until it is settled, and reading what is there | [`quiesce`], [`observe`], [`state`] |
//! | whether that fits | [`checker`] |
//! | how fast it was, and how fast it recovered | [`measure`] |
//! | the report | [`report`] |
//!
//! The trap: load and system share the machine. A rate that they cannot keep without faults measures the machine and not
//! the system; the report's latencies without faults tell.

pub mod checker;
pub mod client;
mod command;
pub mod fault;
pub mod history;
pub mod measure;
pub mod nemesis;
pub mod observe;
pub mod quiesce;
pub mod report;
pub mod state;
pub mod workload;
pub mod world;

pub use command::command;

use std::{
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use nats::topology::OPERATOR;
use tokio::sync::watch;

use crate::{
    Result, StackError,
    error::Doing,
    postgres::Data,
    seed::accounts,
    system::{self, System},
    tools,
    wait::wait_for,
};
use client::Client;
use fault::Schedule;
use history::History;
use report::Report;
use world::{Size, World};

/// The load before the first fault: what is usual.
const QUIET: Duration = Duration::from_secs(8);
/// How long `argosy verify` has to be content once everything is settled.
const VERIFIED_WITHIN: Duration = Duration::from_secs(60);

/// A chaos run.
#[derive(Debug, Clone)]
pub struct Options {
    /// What schedule and load are made from.
    pub seed: u64,
    /// How long the load lasts; longer if a round of faults takes longer.
    pub duration: Duration,
    /// New orders a second.
    pub rate: u32,
    /// Whether anything is broken at all.
    pub faults: bool,
    /// No fault stays for longer.
    pub longest: Duration,
    /// How many instances of each service there are, and of the gateway.
    pub instances: usize,
    /// How many buyers.
    pub buyers: usize,
    /// How long invoices that wait for the renderer are waited for.
    pub drain: Duration,
    /// Where data, logs and the history go; must be empty.
    pub directory: PathBuf,
}

/// Runs it; `progress` is told each step.
///
/// # Errors
/// When the system does not start, a part does not come back, or the final state cannot be read. That a promise was broken
/// is in the report.
pub async fn run(options: &Options, progress: impl Fn(&str)) -> Result<Report> {
    let settings = system::Options {
        instances: options.instances,
        proxied: true,
        ..system::Options::new(options.directory.join("system"), Data::Kept)
    };
    // What a killed process had reserved, and what was not paid, is settled while people still look.
    let settings = settings.with("PAYMENT_TIMEOUT", "20").with("RESERVATION_TTL", "25");
    progress("starting the system");
    let mut system = System::start(&settings, |_| ()).await?;
    accounts(&system.gateway_url(), &system.settings(OPERATOR)).await?;
    let history = Arc::new(History::create(&options.directory.join("history.jsonl"))?);
    let client = Client::new(system.gateway_urls(), Arc::clone(&history))?;
    let size = Size { buyers: options.buyers, carts: options.buyers.div_ceil(2) };
    let world = Arc::new(World::create(&system.gateway_url(), client, size).await?);

    progress(&format!("the load begins: {} orders a second, seed {}", options.rate, options.seed));
    let (stop, stopped) = watch::channel(false);
    let from = history.now();
    let until = Instant::now() + options.duration;
    let load = tokio::spawn(workload::run(Arc::clone(&world), options.seed, options.rate, stopped));
    tokio::time::sleep(QUIET).await;
    let schedule = Schedule::of(options.seed, options.longest);
    let quiet = (from, history.now());
    let episodes = if options.faults {
        nemesis::run(&mut system, &history, schedule, until, &progress).await
    } else {
        tokio::time::sleep_until(until.into()).await;
        Ok(Vec::new())
    };
    system.heal();
    stop.send_replace(true);
    let to = history.now();
    let episodes = episodes?;
    progress("the load ends; waiting until every client has its answer");
    let offered = load.await.doing(|| "end the load".to_owned())?;
    let answered = history.now();

    progress("waiting until everything is settled");
    world.client.sign_in(&world.staff).await?;
    let (state, settled) = quiesce::quiesce(&world, &system.mail, options.drain, &progress).await?;
    progress("verifying");
    let verify = verify(&system).await?;
    let ended = system.ended();
    let memory = memory(&system);
    system.stop().await;
    let history = history.records()?;
    let usual = measure::usual_rate(&history, quiet);
    let episodes: Vec<_> = episodes
        .into_iter()
        .map(|episode| {
            let recovery = measure::recovery(&history, &episode, usual);
            (episode, recovery)
        })
        .collect();
    let verdicts = checker::check(&history, &state);
    let latencies = measure::order_latencies(&history, &episodes);
    Ok(Report {
        seed: options.seed,
        rate: options.rate,
        load: (from, to),
        quiet,
        answered,
        setting: setting(options),
        memory,
        ended,
        offered,
        history,
        episodes,
        usual,
        latencies,
        settled,
        state,
        verdicts,
        verify,
    })
}

/// `argosy verify` as an operator runs it, until it is content or the time is over: what is on its way is no difference.
async fn verify(system: &System) -> Result<(bool, String)> {
    let program = tools::built("argosy")?;
    let (url, seed) = (system.nats.url(), system.seed_file(OPERATOR));
    let last = std::sync::Mutex::new(String::new());
    let content = wait_for("`argosy verify` to be content", VERIFIED_WITHIN, async || {
        let mut command = Command::new(&program);
        command
            .args(["verify", "--settle", "10"])
            .env("NATS_URL", &url)
            .env("NATS_SEED_FILE", &seed)
            .env("LOG", "warn");
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.doing(|| "run argosy".to_owned())?.doing(|| "run argosy".to_owned())?;
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        *last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = text;
        Ok::<_, StackError>(output.status.success().then_some(()))
    });
    let content = content.await.is_ok();
    Ok((content, last.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)))
}

/// What each process of Argosy's own holds at the end, in MiB.
fn memory(system: &System) -> Vec<(String, u64)> {
    let held = |name: String| {
        let bytes = system.process(&name).ok()?.memory();
        Some((name, bytes >> 20))
    };
    system.names().into_iter().filter_map(held).collect()
}

/// What the run ran on.
fn setting(options: &Options) -> Vec<(&'static str, String)> {
    let first_line = |program: PathBuf, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok();
        output.and_then(|output| Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned()))
    };
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?.split_once(':')?.1.trim().to_owned();
        Some(line)
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let model = value(&read("/proc/cpuinfo"), "model name").unwrap_or_default();
    let memory = value(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let version = |found: Result<PathBuf>, argument: &str| {
        found.ok().and_then(|program| first_line(program, argument)).unwrap_or_else(|| "?".to_owned())
    };
    vec![
        (
            "instances",
            format!(
                "{} of each service and of the gateway; one NATS server, one PostgreSQL, one Redis",
                options.instances
            ),
        ),
        ("machine", format!("{processors} processors ({model}), {memory}; the load runs on them too")),
        ("build", format!("{build}, version {}", env!("CARGO_PKG_VERSION"))),
        ("NATS", version(tools::in_venv("nats-server"), "--version")),
        ("PostgreSQL", version(tools::on_path("psql", "postgresql-client"), "--version")),
        ("Redis", version(tools::on_path("redis-server", "redis-server"), "--version")),
    ]
}
