//! What can be done to a running system, and how long it took to come back.
//!
//! Every `restart…`, `resume…`, `wipe…` returns when the part is back, with the time that took from the moment it was let go
//! on or started. That the system as a whole is well again is for the caller to see: orders that succeed.

use std::time::{Duration, Instant};

use nats::{
    connect::{connect, jetstream},
    topology::{PROVISIONER, Topology, differences},
};

use super::{System, Upstream};
use crate::{
    Result, StackError,
    error::Doing,
    nats_server::{Damage, Snapshot},
    proxy::{Proxy, Toxic},
    wait::wait_for,
};

/// How long a process has to finish what it has begun when it is asked to stop.
const DRAIN_WITHIN: Duration = Duration::from_secs(25);
/// How long streams and consumers may be away after NATS is back.
const PROVISIONED_WITHIN: Duration = Duration::from_secs(60);

/// One process of Argosy's own, by its name.
impl System {
    /// Ends it as a crash would (SIGKILL).
    ///
    /// # Errors
    /// When there is no such process.
    pub fn kill(&self, name: &str) -> Result<()> {
        self.process(name).map(crate::process::Process::kill)
    }

    /// Starts it again after it has ended, and returns when it is ready.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self, name: &str) -> Result<Duration> {
        let started = Instant::now();
        self.process_mut(name)?.respawn()?;
        self.until_ready(name).await?;
        Ok(started.elapsed())
    }

    /// Holds it where it is (SIGSTOP): its connections stay, and nothing is answered.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn pause(&self, name: &str) -> Result<()> {
        self.process(name)?.pause()
    }

    /// Lets a held process go on, and returns when it is ready.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn resume(&self, name: &str) -> Result<Duration> {
        let started = Instant::now();
        self.process(name)?.resume()?;
        self.until_ready(name).await?;
        Ok(started.elapsed())
    }

    /// Asks it to stop (SIGTERM), waits until it has finished what it had begun, starts it again, and returns when it is
    /// ready: what a deployment does to one instance after the other.
    ///
    /// # Errors
    /// When it had to be killed, or does not come up.
    pub async fn roll(&mut self, name: &str) -> Result<Duration> {
        if !self.process(name)?.terminate_within(DRAIN_WITHIN).await {
            return Err(StackError::new(format!("{name} did not stop within {DRAIN_WITHIN:?} of being asked to")));
        }
        self.restart(name).await
    }
}

/// The network between a process and the parts.
impl System {
    /// Lets this happen between a process and a part, until it is changed or healed.
    ///
    /// # Errors
    /// When the system was started without proxies, or there is no such process.
    pub fn poison(&self, process: &str, upstream: Upstream, toxic: Toxic) -> Result<()> {
        let proxies = self.proxies(process, upstream);
        if proxies.is_empty() {
            return Err(StackError::new(format!(
                "there is no proxy between {process} and {upstream:?}: start the system with `proxied`"
            )));
        }
        proxies.iter().for_each(|proxy| proxy.set(toxic));
        Ok(())
    }

    /// Lets this happen between every process and a part.
    ///
    /// # Errors
    /// As [`System::poison`].
    pub fn poison_all(&self, upstream: Upstream, toxic: Toxic) -> Result<()> {
        let poisoned = self.names().into_iter().filter(|name| !self.proxies(name, upstream).is_empty());
        let poisoned: Vec<String> = poisoned.collect();
        if poisoned.is_empty() {
            return Err(StackError::new("there are no proxies: start the system with `proxied`"));
        }
        poisoned.iter().try_for_each(|name| self.poison(name, upstream, toxic))
    }

    /// Lets everything pass again, everywhere.
    pub fn heal(&self) {
        self.links.heal();
    }

    /// The proxies between a process and a part; none when the system was started without.
    pub fn proxies(&self, process: &str, upstream: Upstream) -> &[Proxy] {
        self.links.of(process, upstream)
    }
}

/// NATS; for its servers one by one, and to hold them, see [`System::nats`].
impl System {
    /// Kills every NATS server, throws the stores away and starts them again, empty. Returns when streams and consumers are
    /// there again, which the provisioner sees to.
    ///
    /// # Errors
    /// When they do not come back.
    pub async fn wipe_nats(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.nats.wipe().await?;
        self.until_provisioned().await?;
        Ok(started.elapsed())
    }

    /// A copy of NATS's stores as they are now, to go back to.
    ///
    /// # Errors
    /// When they cannot be copied.
    pub fn snapshot_nats(&self) -> Result<Vec<Snapshot>> {
        self.nats.snapshot()
    }

    /// Kills every NATS server and starts it with an earlier store: what it took since is lost.
    ///
    /// # Errors
    /// When they do not come back.
    pub async fn set_back_nats(&mut self, snapshot: &[Snapshot]) -> Result<Duration> {
        let started = Instant::now();
        self.nats.set_back(snapshot).await?;
        self.until_provisioned().await?;
        Ok(started.elapsed())
    }

    /// Kills NATS, damages what it stored of a stream last, and starts it again.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn damage_nats(&mut self, stream: &str, damage: Damage) -> Result<Duration> {
        let started = Instant::now();
        self.nats.damage(stream, damage).await?;
        self.until_provisioned().await?;
        Ok(started.elapsed())
    }

    /// Waits until streams, consumers and buckets are as the topology says.
    ///
    /// # Errors
    /// What is missing at the end.
    pub async fn until_provisioned(&self) -> Result<()> {
        let topology = Topology::embedded().doing(|| "read the topology".to_owned())?;
        let jetstream = self.jetstream().await?;
        wait_for("streams and consumers to be there", PROVISIONED_WITHIN, || async {
            let missing = differences(&jetstream, &topology, self.options.nats_nodes).await;
            match missing.map_err(|error| error.to_string())? {
                none if none.is_empty() => Ok(Some(())),
                some => Err(some.join("; ")),
            }
        })
        .await
    }

    /// The name of the NATS server that leads a stream (`nats-2`).
    ///
    /// # Errors
    /// When nobody leads it, as during an election.
    pub async fn leader_of(&self, stream: &str) -> Result<String> {
        let jetstream = self.jetstream().await?;
        let stream_info = jetstream.get_stream(stream).await.doing(|| format!("look at the stream {stream}"))?;
        let leader = stream_info.cached_info().cluster.as_ref().and_then(|cluster| cluster.leader.clone());
        leader.ok_or_else(|| StackError::new(format!("nobody leads the stream {stream}")))
    }

    async fn jetstream(&self) -> Result<async_nats::jetstream::Context> {
        let client = connect(&self.settings(PROVISIONER), PROVISIONER).await;
        client.map(|client| jetstream(&client)).doing(|| "connect to NATS".to_owned())
    }
}

/// PostgreSQL and Redis.
impl System {
    /// Ends PostgreSQL with all its sessions as a crash of its machine would.
    ///
    /// # Errors
    /// When it cannot be held.
    pub fn crash_postgres(&self) -> Result<()> {
        self.postgres.crash()
    }

    /// Starts PostgreSQL again; it recovers from its log.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart_postgres(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.postgres.restart().await?;
        Ok(started.elapsed())
    }

    /// Ends Redis as a crash would.
    pub fn kill_redis(&self) {
        self.redis.process().kill();
    }

    /// Starts Redis again, empty.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart_redis(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.redis.restart().await?;
        Ok(started.elapsed())
    }
}
