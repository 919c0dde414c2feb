//! A private PostgreSQL on the loopback interface.
//!
//! Its data, log and password live in one directory. Run by root, it runs as the user `postgres`. The superuser
//! is `postgres`, with a generated password; [`Postgres::create_database`] makes a role per database.
//!
//! The trap: with [`Data::Scratch`] nothing reaches the disk in time; what is to survive is [`Data::Kept`].

mod databases;
mod init;

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{Process, Signals};
use crate::{Result, StackError, os, ports};

const SUPERUSER: &str = "postgres";
/// Recovery after a crash is part of a start.
const BOUND: Duration = Duration::from_secs(60);

/// What becomes of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// It survives power cuts: for `make up`.
    Kept,
    /// It goes with the program, so it need not be safe, only fast: for tests.
    Scratch,
}

/// A running PostgreSQL; dropping it stops it.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    password: String,
    programs: init::Programs,
    data: Data,
}

impl Postgres {
    /// Starts on the data in `dir`, making it when there is none; on `port`, or on a free one.
    pub async fn start(dir: &Path, port: Option<u16>, data: Data) -> Result<Self> {
        let cluster = init::cluster(dir, data).await?;
        ports::on_port("PostgreSQL", port, async |port| {
            let log = dir.join("postgres.log");
            let mut command = cluster.programs.command("postgres");
            command.arg("-D").arg(&cluster.data);
            for setting in settings(port, data) {
                command.arg("-c").arg(setting);
            }
            // SIGQUIT when orphaned: unlike SIGKILL it frees the shared memory. Stopping is "fast": it does not
            // wait for clients to leave. What is not kept needs no last checkpoint.
            let stop = if data == Data::Kept { libc::SIGINT } else { libc::SIGQUIT };
            let signals = Signals { stop, orphan: libc::SIGQUIT };
            let process = Process::spawn_with("PostgreSQL", command, &log, signals)?;
            process.until_ready(BOUND, async || answers(port).await).await?;
            let (password, programs) = (cluster.password.clone(), cluster.programs.clone());
            Ok(Self { process, port, password, programs, data })
        })
        .await
    }

    /// Starts it again on the same port, after [`Postgres::crash`], [`Process::kill`] or [`Process::terminate`].
    ///
    /// The sessions of a killed server end by themselves, but only when they next look up from their work; until
    /// then the new one refuses to start, and is started again.
    pub async fn restart(&mut self) -> Result<()> {
        let (port, deadline) = (self.port, Instant::now() + BOUND);
        loop {
            self.process.respawn()?;
            let started = self.process.until_ready(BOUND, async || answers(port).await).await;
            let in_the_way = |error: &StackError| error.to_string().contains("pre-existing shared memory block");
            if Instant::now() >= deadline || !started.as_ref().is_err_and(in_the_way) {
                return started;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the server and every session of it at once (-9), as a crash of the machine would.
    ///
    /// Killing [`Postgres::process`] alone leaves the sessions, which look up from their work only when it is done.
    pub fn crash(&self) -> Result<()> {
        // Held, it cannot answer the death of a session by starting anew.
        self.process.pause()?;
        for session in self.process.children() {
            // One that has ended meanwhile is not reaped, so the number is still its own.
            let _ended = os::send(session, libc::SIGKILL);
        }
        self.process.kill();
        Ok(())
    }

    /// Holds the server and every session of it (SIGSTOP): connections stay, and nothing is answered.
    pub fn pause(&self) -> Result<()> {
        self.process.pause()?;
        for session in self.process.children() {
            let _ended = os::send(session, libc::SIGSTOP);
        }
        Ok(())
    }

    /// Lets a held server go on.
    pub fn resume(&self) -> Result<()> {
        for session in self.process.children() {
            let _ended = os::send(session, libc::SIGCONT);
        }
        self.process.resume()
    }

    /// The superuser's URL of a database; `postgres` always exists.
    pub fn url(&self, database: &str) -> String {
        self.url_as(database, SUPERUSER, &self.password)
    }

    /// A role's URL of a database.
    pub fn url_as(&self, database: &str, role: &str, password: &str) -> String {
        let password = databases::percent_encoded(password);
        format!("postgres://{role}:{password}@127.0.0.1:{}/{database}", self.port)
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

fn settings(port: u16, data: Data) -> Vec<String> {
    let mut settings = vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        // A socket's path may have no more than 107 characters; nobody needs it.
        "unix_socket_directories=".to_owned(),
        // Seven services, each with a pool; two instances of each in some tests.
        "max_connections=400".to_owned(),
        // Short statements only: compiling them costs more than running them.
        "jit=off".to_owned(),
        "log_line_prefix=%m [%p] %d %u ".to_owned(),
    ];
    if data == Data::Scratch {
        let fast = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "checkpoint_timeout=1h"];
        settings.extend(fast.map(str::to_owned));
        // A killed server leaves its shared memory behind: let it go with the data.
        settings.push("dynamic_shared_memory_type=mmap".to_owned());
        // No replicas: the shortest log that there is, and room enough to never checkpoint for size.
        settings.extend(["wal_level=minimal", "max_wal_senders=0", "max_wal_size=4GB"].map(str::to_owned));
    }
    settings
}

/// Asks for a session as a client does: the answer is a request to authenticate when it accepts sessions, and
/// an error while it starts up or recovers. The session is not taken up.
async fn answers(port: u16) -> std::result::Result<Option<()>, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    let parameters = format!("user\0{SUPERUSER}\0\0");
    let length = u32::try_from(parameters.len() + 8).map_err(|error| error.to_string())?;
    let mut hello = Vec::from(length.to_be_bytes());
    hello.extend(196_608_u32.to_be_bytes()); // protocol 3.0
    hello.extend(parameters.as_bytes());
    stream.write_all(&hello).await.map_err(|error| error.to_string())?;
    match stream.read_u8().await {
        Ok(b'R') => Ok(Some(())),
        Ok(_) => Err("it is still starting up".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
