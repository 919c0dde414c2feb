//! The whole system: PostgreSQL, NATS, Redis, the mail catcher, every service and the gateway, each its own process.
//!
//! Order of start does not matter to the services (they wait for what they need); it is chosen so that the first error is
//! the one that explains. Dropping the system stops everything.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nats::{config::Settings, topology::PROVISIONER};

use crate::{
    Result, StackError,
    error::Doing,
    mail::MailCatcher,
    nats_server::NatsServer,
    ports,
    postgres::{Data, Postgres},
    process::Process,
    redis::Redis,
    tools, weasyprint,
};

/// The services, by the names that their users, databases and subjects have.
pub const SERVICES: [&str; 7] = ["user", "catalog", "order", "payment", "shipping", "notify", "invoice"];
const GATEWAY: &str = "gateway";
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How to start the system.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where data, keys and logs go.
    pub directory: PathBuf,
    /// Whether the data has to survive.
    pub data: Data,
    /// The gateway's port; a free one when unset.
    pub port: Option<u16>,
    /// The services' log filter.
    pub log: String,
}

/// A running system.
pub struct System {
    processes: BTreeMap<String, Process>,
    /// Where each process answers `/readyz`.
    ops: BTreeMap<String, String>,
    gateway_port: u16,
    /// PostgreSQL.
    pub postgres: Postgres,
    /// NATS.
    pub nats: NatsServer,
    /// Redis.
    pub redis: Redis,
    /// The mail catcher.
    pub mail: MailCatcher,
    directory: PathBuf,
}

impl System {
    /// Starts everything and returns when all of it is ready; `progress` is told each step.
    ///
    /// # Errors
    /// What could not be started, and what to do about it.
    pub async fn start(options: &Options, progress: impl Fn(&str)) -> Result<Self> {
        let directory = options.directory.clone();
        let sub = |name: &str| -> Result<PathBuf> {
            let path = directory.join(name);
            std::fs::create_dir_all(&path).doing(|| format!("make {}", path.display()))?;
            Ok(path)
        };
        progress("PostgreSQL");
        // PostgreSQL will not run as root, so its directory must be one that another user can reach.
        let postgres_directory = crate::scratch::reachable(&sub("postgres")?)?;
        if !postgres_directory.starts_with(&directory) {
            // Where `make clean` finds it.
            let place = directory.join("postgres.place");
            let text = postgres_directory.display().to_string();
            std::fs::write(&place, text).doing(|| format!("write {}", place.display()))?;
        }
        let postgres = Postgres::start(&postgres_directory, None, options.data).await?;
        progress("NATS with every service's permissions");
        let nats = start_nats(&sub("nats")?).await?;
        progress("Redis");
        let redis = Redis::start(&sub("redis")?, None).await?;
        progress("the mail catcher");
        let mail = MailCatcher::start(&sub("mail")?, None, None).await?;
        let gateway_port = match options.port {
            Some(port) => port,
            None => ports::free()?,
        };
        let mut system = Self {
            processes: BTreeMap::new(),
            ops: BTreeMap::new(),
            gateway_port,
            postgres,
            nats,
            redis,
            mail,
            directory,
        };
        progress("streams, consumers and buckets");
        system.provision().await?;
        for service in SERVICES {
            system.spawn_service(service, &options.log).await?;
        }
        system.spawn_gateway(&options.log)?;
        for name in SERVICES.iter().chain([&GATEWAY]) {
            progress(&format!("waiting for {name}"));
            system.until_ready(name).await?;
        }
        Ok(system)
    }

    /// The gateway's URL, without a path.
    pub fn gateway_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway_port)
    }

    /// The settings of the user `operator` (or `debug`), for commands that speak NATS.
    pub fn settings(&self, user: &str) -> Settings {
        Settings::default()
            .with("NATS_URL", self.nats.url())
            .with("NATS_SEED_FILE", self.seed_file(user).display().to_string())
    }

    /// The file with a NATS user's seed.
    pub fn seed_file(&self, user: &str) -> PathBuf {
        self.directory.join("nats").join(format!("{user}.nk"))
    }

    /// Ends a service's process as a crash would (SIGKILL).
    ///
    /// # Errors
    /// When there is no such process.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        self.process(name)?.kill();
        Ok(())
    }

    /// Starts a killed service again, and returns when it is ready.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self, name: &str) -> Result<()> {
        self.process(name)?.respawn()?;
        self.until_ready(name).await
    }

    /// Stops everything, in an order in which nothing is missed: the gateway first.
    pub async fn stop(self) {
        if let Some(gateway) = self.processes.get(GATEWAY) {
            gateway.terminate().await;
        }
        for (_, process) in self.processes {
            process.terminate().await;
        }
    }

    /// The first process that has ended by itself, with its log's path.
    pub fn ended(&self) -> Option<String> {
        let (name, process) = self.processes.iter().find(|(_, process)| !process.is_running())?;
        Some(format!("{name} has ended; its log is {}", process.log().display()))
    }

    fn process(&mut self, name: &str) -> Result<&mut Process> {
        self.processes.get_mut(name).ok_or_else(|| StackError::new(format!("there is no process {name}")))
    }

    async fn provision(&self) -> Result<()> {
        let mut command = Command::new(tools::built("argosy")?);
        command.arg("provision").env("NATS_URL", self.nats.url()).env("NATS_SEED_FILE", self.seed_file(PROVISIONER));
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.doing(|| "run argosy".to_owned())?.doing(|| "run argosy".to_owned())?;
        if output.status.success() {
            return Ok(());
        }
        Err(StackError::new(format!("`argosy provision` failed: {}", String::from_utf8_lossy(&output.stderr))))
    }

    async fn spawn_service(&mut self, service: &str, log: &str) -> Result<()> {
        let name = format!("argosy_{service}");
        // Local, private and thrown away with the data: the role's name is password enough.
        let database = self.postgres.create_database(&name, &name, &name).await?;
        let mut command = self.command(&format!("svc-{service}"), service, log)?;
        let ops = format!("127.0.0.1:{}", ports::free()?);
        command.env("DATABASE_URL", database).env("OPS_ADDR", &ops);
        self.ops.insert(service.to_owned(), ops);
        match service {
            "notify" => {
                command.env("SMTP_URL", format!("smtp://127.0.0.1:{}", self.mail.smtp_port()));
                command.env("PUBLIC_URL", self.gateway_url());
            }
            "invoice" => {
                command.env("WEASYPRINT", weasyprint::binary()?);
            }
            _ => {}
        }
        self.spawn(service, command)
    }

    fn spawn_gateway(&mut self, log: &str) -> Result<()> {
        let mut command = self.command(GATEWAY, GATEWAY, log)?;
        let listen = format!("127.0.0.1:{}", self.gateway_port);
        command.env("LISTEN", &listen).env("OPS_ADDR", &listen);
        self.ops.insert(GATEWAY.to_owned(), listen);
        self.spawn(GATEWAY, command)
    }

    fn command(&self, program: &str, user: &str, log: &str) -> Result<Command> {
        let mut command = Command::new(tools::built(program)?);
        command.env("NATS_URL", self.nats.url()).env("NATS_SEED_FILE", self.seed_file(user));
        command.env("REDIS_URL", self.redis.url()).env("LOG", log).env("LOG_FORMAT", "json");
        Ok(command)
    }

    fn spawn(&mut self, name: &str, command: Command) -> Result<()> {
        let logs = self.directory.join("logs");
        std::fs::create_dir_all(&logs).doing(|| format!("make {}", logs.display()))?;
        let process = Process::spawn(name, command, &logs.join(format!("{name}.log")))?;
        self.processes.insert(name.to_owned(), process);
        Ok(())
    }

    async fn until_ready(&mut self, name: &str) -> Result<()> {
        let address = self.ops.get(name).cloned().unwrap_or_default();
        let url = format!("http://{address}/readyz");
        let look = || async {
            let answer = reqwest::get(&url).await.map_err(|error| error.to_string())?;
            if answer.status().is_success() { Ok(Some(())) } else { Err(answer.text().await.unwrap_or_default()) }
        };
        self.process(name)?.until_ready(READY_WITHIN, look).await
    }
}

async fn start_nats(directory: &Path) -> Result<NatsServer> {
    let config = directory.join("nats.conf");
    let topology = nats::topology::Topology::embedded().doing(|| "read the topology".to_owned())?;
    nats::topology::write_keys(&topology, directory).doing(|| "write the users' keys".to_owned())?;
    NatsServer::start(&config, directory, None, &[]).await
}
