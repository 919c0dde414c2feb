//! The NATS that a system runs on: one server, or three that hold the same streams.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use nats::topology::{ClusterNode, Topology, write_cluster, write_keys};

use super::{Damage, NatsServer, Snapshot};
use crate::error::Doing;
use crate::{Result, StackError, ports};

/// One nats-server, or a cluster of them; dropping it stops them.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<NatsServer>,
}

impl NatsCluster {
    /// Starts `size` servers (1 or 3) with the permissions of `topology`; keys, stores and logs are in `directory`.
    ///
    /// # Errors
    /// What did not start, and why.
    pub async fn start(topology: &Topology, directory: &Path, size: usize) -> Result<Self> {
        write_keys(topology, directory).doing(|| "write the users' keys".to_owned())?;
        if size == 1 {
            let server = NatsServer::start(&directory.join("nats.conf"), directory, None, &[]).await?;
            return Ok(Self { nodes: vec![server] });
        }
        let mut members = Vec::with_capacity(size);
        for number in 1..=size {
            let address = format!("127.0.0.1:{}", ports::free()?);
            members.push(ClusterNode { name: format!("nats-{number}"), address });
        }
        write_cluster(directory, &members).doing(|| "write the cluster's configuration".to_owned())?;
        // Together: none of them is healthy before a majority is there.
        let starting = members.iter().map(|member| async {
            let (config, place) = (directory.join(format!("{}.conf", member.name)), directory.join(&member.name));
            NatsServer::start(&config, &place, None, &[]).await
        });
        Ok(Self { nodes: try_join_all(starting).await? })
    }

    /// The servers.
    pub fn nodes(&self) -> &[NatsServer] {
        &self.nodes
    }

    /// What clients connect to: every server's URL, separated by commas.
    pub fn url(&self) -> String {
        let urls: Vec<String> = self.nodes.iter().map(NatsServer::url).collect();
        urls.join(",")
    }

    /// The monitoring pages of the first server.
    pub fn monitoring_url(&self) -> String {
        self.nodes.first().map(NatsServer::monitoring_url).unwrap_or_default()
    }

    /// Ends every server as a crash would (SIGKILL).
    pub fn kill(&self) {
        self.nodes.iter().for_each(|node| node.process().kill());
    }

    /// Ends one server as a crash would; `name` is the one that the configuration gives it (`nats-2`).
    pub fn kill_node(&self, name: &str) -> Result<()> {
        self.nodes.get(number(name)?).ok_or_else(|| unknown(name)).map(|node| node.process().kill())
    }

    /// Starts one server again and answers how long it took to catch up.
    pub async fn restart_node(&mut self, name: &str) -> Result<Duration> {
        let started = Instant::now();
        self.nodes.get_mut(number(name)?).ok_or_else(|| unknown(name))?.restart().await?;
        Ok(started.elapsed())
    }

    /// Starts every server that has ended, and answers how long it took until JetStream was back.
    pub async fn restart(&mut self) -> Result<Duration> {
        let started = Instant::now();
        for node in self.nodes.iter_mut().filter(|node| !node.process().is_running()) {
            node.process.respawn()?;
        }
        try_join_all(self.nodes.iter().map(NatsServer::until_healthy)).await?;
        Ok(started.elapsed())
    }

    /// Holds every server (SIGSTOP).
    pub fn pause(&self) -> Result<()> {
        self.nodes.iter().try_for_each(|node| node.process().pause())
    }

    /// Lets held servers go on, and answers how long it took until they answered.
    pub async fn resume(&self) -> Result<Duration> {
        let started = Instant::now();
        self.nodes.iter().try_for_each(|node| node.process().resume())?;
        try_join_all(self.nodes.iter().map(NatsServer::until_healthy)).await?;
        Ok(started.elapsed())
    }

    /// Kills every server, throws the stores away and starts them again, empty.
    pub async fn wipe(&mut self) -> Result<Duration> {
        self.kill();
        self.nodes.iter().try_for_each(NatsServer::wipe_store)?;
        self.restart().await
    }

    /// A copy of every store.
    pub fn snapshot(&self) -> Result<Vec<Snapshot>> {
        self.nodes.iter().map(NatsServer::copy_store).collect()
    }

    /// Kills every server, and starts it again with the store it had when the snapshot was taken.
    pub async fn set_back(&mut self, snapshots: &[Snapshot]) -> Result<Duration> {
        self.kill();
        for (node, snapshot) in self.nodes.iter().zip(snapshots) {
            node.set_store_back(snapshot)?;
        }
        self.restart().await
    }

    /// Kills the first server, damages what it stored of a stream last, and starts it again.
    pub async fn damage(&mut self, stream: &str, damage: Damage) -> Result<Duration> {
        if let Some(node) = self.nodes.first() {
            node.process().kill();
            node.damage_store(stream, damage)?;
        }
        self.restart().await
    }
}

fn number(name: &str) -> Result<usize> {
    let number = name.strip_prefix("nats-").and_then(|number| number.parse::<usize>().ok());
    number.and_then(|number| number.checked_sub(1)).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> StackError {
    StackError::new(format!("there is no NATS server {name}; they are nats-1, nats-2 …"))
}
