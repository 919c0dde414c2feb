//! A private Redis on the loopback interface.
//!
//! It holds nothing that Postgres does not have: no snapshots, no append-only file.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::Doing;
use crate::process::{Process, Signals};
use crate::{Result, ports, tools};

const BOUND: Duration = Duration::from_secs(15);

/// A running Redis; dropping it stops it.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
}

impl Redis {
    /// Starts on `port`, or on a free one; the log is in `dir`.
    pub async fn start(dir: &Path, port: Option<u16>) -> Result<Self> {
        let program = tools::on_path("redis-server", "redis-server")?;
        std::fs::create_dir_all(dir).doing(|| format!("make {}", dir.display()))?;
        ports::on_port("Redis", port, async |port| {
            let mut command = Command::new(&program);
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            command.arg("--dir").arg(dir);
            // Nothing to save, so no farewell: Redis looks for SIGTERM only ten times a second.
            let signals = Signals { stop: libc::SIGKILL, ..Signals::default() };
            let process = Process::spawn_with("Redis", command, &dir.join("redis.log"), signals)?;
            process.until_ready(BOUND, async || ping(port).await).await?;
            Ok(Self { process, port })
        })
        .await
    }

    /// Starts it again, empty, on the same port, after [`Process::kill`] or [`Process::terminate`].
    pub async fn restart(&mut self) -> Result<()> {
        self.process.respawn()?;
        let port = self.port;
        self.process.until_ready(BOUND, async || ping(port).await).await
    }

    /// What clients connect to.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
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

async fn ping(port: u16) -> std::result::Result<Option<()>, std::io::Error> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    if answer == *b"+PONG\r\n" {
        return Ok(Some(()));
    }
    Err(std::io::Error::other(format!("it says {}", String::from_utf8_lossy(&answer))))
}
