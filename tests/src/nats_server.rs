//! A private nats-server (from `.argosy/venv`) on the loopback interface: one, or a cluster of them.
//!
//! What can be done to a server's store beside its back stands in `store`.

mod cluster;
mod store;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub use cluster::NatsCluster;
pub use store::{Damage, Snapshot};

use crate::error::{Doing, with_causes};
use crate::process::Process;
use crate::{Result, ports, tools};

/// JetStream reads its streams back before it is healthy.
const BOUND: Duration = Duration::from_secs(30);

/// A running nats-server; dropping it stops it.
#[derive(Debug)]
pub struct NatsServer {
    process: Process,
    port: u16,
    monitoring_port: u16,
    store: PathBuf,
}

impl NatsServer {
    /// Starts with a configuration file, on `port` or a free one. JetStream's store and the log are in `dir`.
    ///
    /// Address, ports and store given here win over the file's; that JetStream is on, and who may do what, is
    /// the file's to say. `env` is for the `$NAMES` that the file refers to.
    pub async fn start(config: &Path, dir: &Path, port: Option<u16>, env: &[(&str, &str)]) -> Result<Self> {
        let program = tools::in_venv("nats-server")?;
        let store = dir.join("jetstream");
        std::fs::create_dir_all(&store).doing(|| format!("make {}", store.display()))?;
        ports::on_port("nats-server", port, async |port| {
            let monitoring_port = ports::free()?;
            let mut command = Command::new(&program);
            command.arg("-c").arg(config).arg("-sd").arg(&store).args(["-a", "127.0.0.1"]);
            command.args(["-p", &port.to_string(), "-m", &monitoring_port.to_string()]);
            command.envs(env.iter().copied());
            let process = Process::spawn("nats-server", command, &dir.join("nats.log"))?;
            process.until_ready(BOUND, async || healthy(monitoring_port).await).await?;
            Ok(Self { process, port, monitoring_port, store: store.clone() })
        })
        .await
    }

    /// Starts it again on the same ports, after [`Process::kill`] or [`Process::terminate`].
    pub async fn restart(&mut self) -> Result<()> {
        self.process.respawn()?;
        self.until_healthy().await
    }

    /// Waits until it accepts clients and JetStream has recovered; in a cluster, until it has caught up.
    pub async fn until_healthy(&self) -> Result<()> {
        let port = self.monitoring_port;
        self.process.until_ready(BOUND, async || healthy(port).await).await
    }

    /// What clients connect to; without credentials.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The monitoring pages (`/varz`, `/jsz`, `/connz` …).
    pub fn monitoring_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitoring_port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process, to be killed or asked for its number.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// The server's own word: it accepts clients, and JetStream (where configured) has recovered.
async fn healthy(monitoring_port: u16) -> std::result::Result<Option<()>, String> {
    let answer = reqwest::get(format!("http://127.0.0.1:{monitoring_port}/healthz")).await;
    let answer = answer.map_err(|error| with_causes(&error))?;
    if answer.status().is_success() { Ok(Some(())) } else { Err(answer.text().await.unwrap_or_default()) }
}
