//! `argosy keys` and `argosy provision`: what the broker needs before services can use it.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `NATS_REPLICAS` | on how many servers of a cluster each stream is kept | 1 |

use std::path::Path;

use nats::{
    config::Settings,
    connect::{connect, jetstream},
    topology::{self, ClusterNode, PROVISIONER, Topology},
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{say, text};

/// Keys and configuration; with `cluster` (`host:port`, separated by commas) also that of each of its servers.
pub(crate) fn keys(directory: &str, cluster: Option<&str>) -> Result<(), String> {
    topology::write_keys(&Topology::embedded().map_err(text)?, Path::new(directory)).map_err(text)?;
    let Some(cluster) = cluster else { return Ok(()) };
    let nodes: Vec<ClusterNode> = cluster
        .split(',')
        .enumerate()
        .map(|(index, address)| ClusterNode { name: format!("nats-{}", index + 1), address: address.trim().to_owned() })
        .collect();
    topology::write_cluster(Path::new(directory), &nodes).map_err(text)
}

/// Streams, consumers and buckets, once.
pub(crate) async fn provision(settings: &Settings) -> Result<(), String> {
    let client = connect(settings, PROVISIONER).await.map_err(text)?;
    let topology = Topology::embedded().map_err(text)?;
    let done = topology::provision(&jetstream(&client), &topology, replicas(settings)?).await.map_err(text)?;
    done.iter().try_for_each(|sentence| say(sentence))
}

/// The same, and again whenever something is not there any more, until SIGTERM or Ctrl-C.
pub(crate) async fn watch(settings: &Settings) -> Result<(), String> {
    let (mut terminated, mut interrupted) =
        (signal(SignalKind::terminate()).map_err(text)?, signal(SignalKind::interrupt()).map_err(text)?);
    let (topology, replicas) = (Topology::embedded().map_err(text)?, replicas(settings)?);
    let watching = async {
        let client = connect(settings, PROVISIONER).await.map_err(text)?;
        topology::watch(&jetstream(&client), &topology, replicas).await;
        Ok(())
    };
    tokio::select! {
        outcome = watching => outcome,
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
    }
}

fn replicas(settings: &Settings) -> Result<usize, String> {
    settings.parse("NATS_REPLICAS", 1).map_err(text)
}
