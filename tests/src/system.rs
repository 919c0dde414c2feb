//! The whole system: PostgreSQL, NATS, Redis, the mail catcher, every service and the gateway, each its own process.
//!
//! Order of start does not matter to the services (they wait for what they need); it is chosen so that the first error is
//! the one that explains. Dropping the system stops everything. What can be done to it while it runs (kill, hold, cut off,
//! wipe) stands in `faults`; how one process reaches the parts, straight or through proxies, in `links`.
//!
//! Processes have names: that of the service (`catalog`, `gateway`, `provisioner`, `sandbox-provider`), and `catalog-2` … for
//! further instances.

mod faults;
mod links;

use std::{collections::BTreeMap, path::PathBuf, process::Command, time::Duration};

use nats::{
    config::Settings,
    topology::{PROVISIONER, Topology},
};

pub use links::Upstream;

use crate::{
    Result, StackError, clock,
    error::Doing,
    mail::MailCatcher,
    nats_server::NatsCluster,
    ports,
    postgres::{Data, Postgres},
    process::Process,
    redis::Redis,
    system::links::Links,
    tools, weasyprint,
};

/// The services, by the names that their users, databases and subjects have.
pub const SERVICES: [&str; 7] = ["user", "catalog", "order", "payment", "shipping", "notify", "invoice"];
/// The gateway's name among the processes.
pub const GATEWAY: &str = "gateway";
/// The name of the process that stands for a payment provider.
pub const PROVIDER: &str = "sandbox-provider";
const READY_WITHIN: Duration = Duration::from_secs(60);

/// In tests and under load all clients come from one address, and none of them is to be slowed down.
const RAISED_LIMITS: &str = "read=1000000/1 write=1000000/1 sign_in=1000000/1 upload=1000000/1 webhook=1000000/1";

/// How to start the system; [`Options::new`] gives the simplest.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where data, keys and logs go.
    pub directory: PathBuf,
    /// Whether the data has to survive.
    pub data: Data,
    /// The first gateway's port; a free one when unset.
    pub port: Option<u16>,
    /// The services' log filter.
    pub log: String,
    /// How many processes of each service there are, and of the gateway.
    pub instances: usize,
    /// Whether each process reaches the parts it needs ([`Upstream`]) through proxies of its own.
    pub proxied: bool,
    /// How many NATS servers there are, and copies of each stream: 1 or 3.
    pub nats_nodes: usize,
    /// Whether the clocks of all but each service's first instance can be set ([`System::set_clocks`]).
    pub clocks: bool,
    /// Further settings of every process, by name.
    pub settings: BTreeMap<String, String>,
}

impl Options {
    /// One instance of everything, without proxies, on one NATS server; one client may send as much as it likes.
    pub fn new(directory: impl Into<PathBuf>, data: Data) -> Self {
        Self {
            directory: directory.into(),
            data,
            port: None,
            log: std::env::var("LOG").unwrap_or_else(|_| "info".to_owned()),
            instances: 1,
            proxied: false,
            nats_nodes: 1,
            clocks: false,
            settings: [("LIMITS", RAISED_LIMITS), ("CONNECTIONS_PER_ADDRESS", "0")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }

    /// These, with one more setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// What svc-payment has to know of the payment provider.
struct Provider {
    port: u16,
    key: String,
    webhook_secret: String,
}

/// A running system.
pub struct System {
    processes: BTreeMap<String, Process>,
    /// Where each process answers `/readyz`.
    ops: BTreeMap<String, String>,
    gateway_ports: Vec<u16>,
    links: Links,
    /// PostgreSQL.
    pub postgres: Postgres,
    /// NATS.
    pub nats: NatsCluster,
    /// Redis.
    pub redis: Redis,
    /// The mail catcher.
    pub mail: MailCatcher,
    options: Options,
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
        let topology = Topology::embedded().doing(|| "read the topology".to_owned())?;
        let nats = NatsCluster::start(&topology, &sub("nats")?, options.nats_nodes).await?;
        progress("Redis");
        let redis = Redis::start(&sub("redis")?, None).await?;
        progress("the mail catcher");
        let mail = MailCatcher::start(&sub("mail")?, None, None).await?;
        let mut gateway_ports = Vec::new();
        for instance in 0..options.instances {
            let port = options.port.filter(|_| instance == 0);
            gateway_ports.push(port.map_or_else(ports::free, Ok)?);
        }
        let mut system = Self {
            processes: BTreeMap::new(),
            ops: BTreeMap::new(),
            gateway_ports,
            links: Links::default(),
            postgres,
            nats,
            redis,
            mail,
            options: options.clone(),
        };
        progress("streams, consumers and buckets");
        system.provision().await?;
        system.spawn_provisioner()?;
        let provider = system.spawn_provider()?;
        for service in SERVICES {
            for name in system.instances(service) {
                system.spawn_service(service, &name, &provider).await?;
            }
        }
        system.spawn_gateways().await?;
        for name in system.names() {
            progress(&format!("waiting for {name}"));
            system.until_ready(&name).await?;
        }
        Ok(system)
    }

    /// The first gateway's URL, without a path.
    pub fn gateway_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway_ports.first().copied().unwrap_or_default())
    }

    /// The URL of each gateway, in the order of their names; a client may use any.
    pub fn gateway_urls(&self) -> Vec<String> {
        self.gateway_ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect()
    }

    /// The settings of the user `operator` (or `debug`), for commands that speak NATS.
    pub fn settings(&self, user: &str) -> Settings {
        Settings::default()
            .with("NATS_URL", self.nats.url())
            .with("NATS_SEED_FILE", self.seed_file(user).display().to_string())
    }

    /// The file with a NATS user's seed.
    pub fn seed_file(&self, user: &str) -> PathBuf {
        self.options.directory.join("nats").join(format!("{user}.nk"))
    }

    /// The name of every process of Argosy's own.
    pub fn names(&self) -> Vec<String> {
        self.processes.keys().cloned().collect()
    }

    /// The names of the processes of one service, or of the gateway.
    pub fn instances(&self, service: &str) -> Vec<String> {
        let further = (2..=self.options.instances).map(|number| format!("{service}-{number}"));
        std::iter::once(service.to_owned()).chain(further).collect()
    }

    /// Sets the clocks of all but each service's first instance, which notice within a second: so many seconds ahead.
    ///
    /// # Errors
    /// When that cannot be written down for them.
    pub fn set_clocks(&self, ahead: i32) -> Result<()> {
        clock::set(&self.clock_file(), ahead)
    }

    /// A process, to look at.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn process(&self, name: &str) -> Result<&Process> {
        self.processes.get(name).ok_or_else(|| StackError::new(format!("there is no process {name}")))
    }

    /// Stops everything, in an order in which nothing is missed: the gateways first.
    pub async fn stop(self) {
        let (gateways, services): (Vec<_>, Vec<_>) =
            self.processes.iter().partition(|(name, _)| name.starts_with(GATEWAY));
        for processes in [gateways, services] {
            futures_util::future::join_all(processes.iter().map(|(_, process)| process.terminate())).await;
        }
    }

    /// The first process that has ended by itself, with its log's path.
    pub fn ended(&self) -> Option<String> {
        let (name, process) = self.processes.iter().find(|(_, process)| !process.is_running())?;
        Some(format!("{name} has ended; its log is {}", process.log().display()))
    }

    fn process_mut(&mut self, name: &str) -> Result<&mut Process> {
        self.processes.get_mut(name).ok_or_else(|| StackError::new(format!("there is no process {name}")))
    }

    async fn provision(&self) -> Result<()> {
        let mut command = self.provisioner()?;
        command.arg("provision");
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.doing(|| "run argosy".to_owned())?.doing(|| "run argosy".to_owned())?;
        if output.status.success() {
            return Ok(());
        }
        Err(StackError::new(format!("`argosy provision` failed: {}", String::from_utf8_lossy(&output.stderr))))
    }

    /// Creates again what a NATS that lost its store does not have.
    fn clock_file(&self) -> PathBuf {
        self.options.directory.join("clock")
    }

    fn spawn_provisioner(&mut self) -> Result<()> {
        let mut command = self.provisioner()?;
        command.args(["provision", "--watch"]);
        self.spawn(PROVISIONER, command)
    }

    fn provisioner(&self) -> Result<Command> {
        let mut command = Command::new(tools::built("argosy")?);
        command.env("NATS_URL", self.nats.url()).env("NATS_SEED_FILE", self.seed_file(PROVISIONER));
        command.env("NATS_REPLICAS", self.options.nats_nodes.to_string());
        command.env("LOG", &self.options.log).env("LOG_FORMAT", "json");
        Ok(command)
    }

    /// The payment provider, which remembers across restarts and tells svc-payment through the gateway.
    fn spawn_provider(&mut self) -> Result<Provider> {
        let directory = self.options.directory.join(PROVIDER);
        std::fs::create_dir_all(&directory).doing(|| format!("make {}", directory.display()))?;
        let secret = || uuid::Uuid::new_v4().simple().to_string();
        let provider = Provider {
            port: ports::free()?,
            key: secret(),
            // Hexadecimal is base64 too, and 64 characters of it are 48 bytes.
            webhook_secret: format!("whsec_{}{}", secret(), secret()),
        };
        let listen = format!("127.0.0.1:{}", provider.port);
        let mut command = Command::new(tools::built(PROVIDER)?);
        command.env("LISTEN", &listen).env("JOURNAL", directory.join("journal")).env("API_KEY", &provider.key);
        command.env("WEBHOOK_URL", format!("{}/v1/webhooks/payments/sandbox", self.gateway_url()));
        command.env("WEBHOOK_SECRET", &provider.webhook_secret);
        command.env("LOG", &self.options.log).env("LOG_FORMAT", "json");
        self.ops.insert(PROVIDER.to_owned(), listen);
        self.spawn(PROVIDER, command)?;
        Ok(provider)
    }

    async fn spawn_service(&mut self, service: &str, name: &str, provider: &Provider) -> Result<()> {
        let role = format!("argosy_{service}");
        // Local, private and thrown away with the data: the role's name is password enough.
        let database = self.postgres.create_database(&role, &role, &role).await?;
        let mut command = self.command(&format!("svc-{service}"), service, name).await?;
        let ops = format!("127.0.0.1:{}", ports::free()?);
        command.env("DATABASE_URL", self.links.postgres(name, &database)).env("OPS_ADDR", &ops);
        self.ops.insert(name.to_owned(), ops);
        if self.options.clocks && name != service {
            self.set_clocks(0)?;
            clock::follow(&mut command, &self.clock_file())?;
        }
        match service {
            "notify" => {
                command.env("SMTP_URL", format!("smtp://127.0.0.1:{}", self.mail.smtp_port()));
                command.env("PUBLIC_URL", self.gateway_url());
            }
            "user" => {
                command.env("PUBLIC_URL", self.gateway_url());
            }
            "payment" => {
                let port = self.links.provider(name, provider.port, self.options.proxied).await?;
                command.env("PROVIDER_URL", format!("http://127.0.0.1:{port}")).env("PROVIDER_KEY", &provider.key);
                command.env("PROVIDER_WEBHOOK_SECRET", &provider.webhook_secret);
            }
            "invoice" => {
                command.env("WEASYPRINT", weasyprint::binary()?);
            }
            _ => {}
        }
        self.spawn(name, command)
    }

    async fn spawn_gateways(&mut self) -> Result<()> {
        for (name, port) in self.instances(GATEWAY).into_iter().zip(self.gateway_ports.clone()) {
            let mut command = self.command(GATEWAY, GATEWAY, &name).await?;
            let listen = format!("127.0.0.1:{port}");
            command.env("LISTEN", &listen).env("OPS_ADDR", &listen);
            self.ops.insert(name.clone(), listen);
            self.spawn(&name, command)?;
        }
        Ok(())
    }

    async fn command(&mut self, program: &str, user: &str, name: &str) -> Result<Command> {
        if self.options.proxied {
            self.links.lay(name, &self.nats, &self.postgres, &self.redis).await?;
        }
        let mut command = Command::new(tools::built(program)?);
        command.env("NATS_URL", self.links.nats(name, &self.nats)).env("NATS_SEED_FILE", self.seed_file(user));
        command.env("REDIS_URL", self.links.redis(name, &self.redis));
        command.env("LOG", &self.options.log).env("LOG_FORMAT", "json").envs(&self.options.settings);
        Ok(command)
    }

    fn spawn(&mut self, name: &str, command: Command) -> Result<()> {
        let logs = self.options.directory.join("logs");
        std::fs::create_dir_all(&logs).doing(|| format!("make {}", logs.display()))?;
        let process = Process::spawn(name, command, &logs.join(format!("{name}.log")))?;
        self.processes.insert(name.to_owned(), process);
        Ok(())
    }

    /// Waits until a process says that it is ready; one that has no such page is ready when it runs.
    async fn until_ready(&self, name: &str) -> Result<()> {
        let Some(address) = self.ops.get(name) else { return Ok(()) };
        let url = format!("http://{address}/readyz");
        let look = || async {
            let answer = reqwest::get(&url).await.map_err(|error| error.to_string())?;
            if answer.status().is_success() { Ok(Some(())) } else { Err(answer.text().await.unwrap_or_default()) }
        };
        self.process(name)?.until_ready(READY_WITHIN, look).await
    }
}

impl Drop for System {
    /// Asks all at once; each is then waited for.
    fn drop(&mut self) {
        self.processes.values().for_each(Process::ask_to_stop);
    }
}
