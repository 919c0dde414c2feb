//! `make up`: the whole system with demo data, in the foreground, until Ctrl-C.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nats::topology::{DEBUG, OPERATOR};

use crate::{
    Result, StackError,
    error::Doing,
    ports,
    postgres::Data,
    seed::{ACCOUNTS, seed},
    system::{Options, System},
    tools,
};

const PORT: u16 = 8080;
/// The demo data comes in through the gateway, from one person; nobody should have to wait for it.
const ROOM_FOR_DEMO_DATA: &str = "write=6000/60";

/// Starts everything, prints where it is, and stops it at Ctrl-C, SIGTERM or when a part ends by itself.
///
/// # Errors
/// What could not be started, and what to do about it.
pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.doing(|| "start".to_owned())?.block_on(serve())
}

async fn serve() -> Result<()> {
    let started = Instant::now();
    let directory = tools::root().join(".argosy");
    let _only = OnlyOne::claim(&directory)?;
    let port = match std::env::var("PORT").ok().filter(|port| !port.is_empty()) {
        Some(port) => {
            let port = port.parse().doing(|| format!("read PORT={port}"))?;
            ports::claim(port, "PORT")?
        }
        None => ports::prefer(PORT)?,
    };
    let log = std::env::var("LOG").unwrap_or_else(|_| "info".to_owned());
    let limits = std::env::var("LIMITS").unwrap_or_else(|_| ROOM_FOR_DEMO_DATA.to_owned());
    let settings = BTreeMap::from([("LIMITS".to_owned(), limits)]);
    let options = Options { port: Some(port), log, settings, ..Options::new(&directory, Data::Kept) };
    let step = |what: &str| say(&format!("  {:>5.1} s  {what}", started.elapsed().as_secs_f32()));
    say("Argosy is starting:");
    let starting = async {
        let system = System::start(&options, step).await?;
        seed(&system.gateway_url(), &system.settings(OPERATOR), step).await?;
        Ok::<_, StackError>(system)
    };
    let system = tokio::select! {
        system = starting => system?,
        // Dropping what has been started so far stops it.
        () = stopped() => return Ok(()),
    };
    let variables = variables(&system);
    std::fs::write(directory.join("env"), &variables).doing(|| "write .argosy/env".to_owned())?;
    say(&panel(&system, started.elapsed()));
    let outcome = loop {
        tokio::select! {
            () = stopped() => break Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                if let Some(ended) = system.ended() {
                    break Err(StackError::new(ended));
                }
            }
        }
    };
    say("\nstopping …");
    system.stop().await;
    let _gone = std::fs::remove_file(directory.join("env"));
    outcome
}

/// What scripts need, as shell variables.
fn variables(system: &System) -> String {
    let mut text = String::new();
    let mut set = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}='{value}'");
    };
    set("GATEWAY_URL", &system.gateway_url());
    set("MAIL_URL", &system.mail.url());
    set("SMTP_URL", &format!("smtp://127.0.0.1:{}", system.mail.smtp_port()));
    set("NATS_URL", &system.nats.url());
    set("NATS_NKEY", &system.seed_file(DEBUG).display().to_string());
    set("NATS_DEBUG_SEED_FILE", &system.seed_file(DEBUG).display().to_string());
    set("NATS_DEBUG_INBOX_PREFIX", &nats::connect::inbox_prefix(DEBUG));
    set("NATS_OPERATOR_SEED_FILE", &system.seed_file(OPERATOR).display().to_string());
    set("NATS_MONITORING_URL", &system.nats.monitoring_url());
    set("POSTGRES_URL", &system.postgres.url("postgres"));
    set("REDIS_URL", &system.redis.url());
    for account in ACCOUNTS {
        set(&format!("DEMO_{}_EMAIL", account.role), account.email);
        set(&format!("DEMO_{}_PASSWORD", account.role), account.password);
    }
    text
}

fn panel(system: &System, took: Duration) -> String {
    let url = system.gateway_url();
    let mut text = format!("\nArgosy is up after {:.1} s.\n\n", took.as_secs_f32());
    let mut row = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    row("API", &format!("{url}/v1"));
    row("reference", &format!("{url}/docs"));
    row("mail", &system.mail.url());
    row("NATS", &format!("{} (as `debug`: docs/EVENTS.md)", system.nats.url()));
    for account in ACCOUNTS {
        row(&account.role.to_lowercase(), &format!("{}  {}", account.email, account.password));
    }
    row("variables", ". .argosy/env");
    row("logs", ".argosy/logs");
    let _ = write!(
        text,
        "\nTry:  curl '{url}/v1/products?search=lamp'\nCtrl-C stops everything; the data stays until `make clean`."
    );
    text
}

/// Keeps a second system out of the same directory.
struct OnlyOne {
    path: PathBuf,
}

impl OnlyOne {
    fn claim(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory).doing(|| format!("make {}", directory.display()))?;
        let path = directory.join("pid");
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        let running = Path::new("/proc").join(known.trim()).join("comm");
        if !known.trim().is_empty() && std::fs::read_to_string(running).is_ok_and(|name| name.trim() == "stack") {
            return Err(StackError::new(format!(
                "it runs already (process {}); stop it with `make down`",
                known.trim()
            )));
        }
        std::fs::write(&path, std::process::id().to_string()).doing(|| format!("write {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for OnlyOne {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
    }
}

fn say(line: &str) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}
