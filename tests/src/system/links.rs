//! How each process reaches the parts: straight, or through proxies of its own.

use std::collections::BTreeMap;

use crate::{
    Result,
    nats_server::NatsCluster,
    postgres::Postgres,
    proxy::{Proxy, Toxic},
    redis::Redis,
};

/// What a process talks to through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Upstream {
    /// NATS, every server of it.
    Nats,
    /// PostgreSQL.
    Postgres,
    /// Redis.
    Redis,
    /// The payment provider; for svc-payment only.
    Provider,
}

/// The proxies, by process and what they lead to; none when processes reach the parts straight.
#[derive(Default)]
pub(super) struct Links(BTreeMap<(String, Upstream), Vec<Proxy>>);

impl Links {
    /// Puts proxies between a process and the parts.
    pub(super) async fn lay(
        &mut self,
        process: &str,
        nats: &NatsCluster,
        postgres: &Postgres,
        redis: &Redis,
    ) -> Result<()> {
        let mut servers = Vec::new();
        for node in nats.nodes() {
            servers.push(Proxy::start(node.port()).await?);
        }
        self.0.insert((process.to_owned(), Upstream::Nats), servers);
        self.0.insert((process.to_owned(), Upstream::Postgres), vec![Proxy::start(postgres.port()).await?]);
        self.0.insert((process.to_owned(), Upstream::Redis), vec![Proxy::start(redis.port()).await?]);
        Ok(())
    }

    /// The proxies between a process and a part.
    pub(super) fn of(&self, process: &str, upstream: Upstream) -> &[Proxy] {
        self.0.get(&(process.to_owned(), upstream)).map_or(&[], Vec::as_slice)
    }

    /// Lets everything pass again.
    pub(super) fn heal(&self) {
        self.0.values().flatten().for_each(|proxy| proxy.set(Toxic::None));
    }

    pub(super) fn nats(&self, process: &str, nats: &NatsCluster) -> String {
        let proxies = self.of(process, Upstream::Nats);
        if proxies.is_empty() {
            return nats.url();
        }
        let urls: Vec<String> = proxies.iter().map(|proxy| format!("nats://127.0.0.1:{}", proxy.port())).collect();
        urls.join(",")
    }

    pub(super) fn postgres(&self, process: &str, url: &str) -> String {
        through(self.of(process, Upstream::Postgres), url)
    }

    /// The port at which svc-payment reaches the payment provider, with a proxy laid if there are to be any.
    pub(super) async fn provider(&mut self, process: &str, port: u16, proxied: bool) -> Result<u16> {
        if !proxied {
            return Ok(port);
        }
        let proxy = Proxy::start(port).await?;
        let port = proxy.port();
        self.0.insert((process.to_owned(), Upstream::Provider), vec![proxy]);
        Ok(port)
    }

    pub(super) fn redis(&self, process: &str, redis: &Redis) -> String {
        through(self.of(process, Upstream::Redis), &redis.url())
    }
}

/// A URL on this machine with the first proxy's port in the place of its own.
fn through(proxies: &[Proxy], url: &str) -> String {
    const HOST: &str = "127.0.0.1:";
    match (proxies.first(), url.split_once(HOST)) {
        (Some(proxy), Some((before, after))) => {
            let path = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
            format!("{before}{HOST}{}{path}", proxy.port())
        }
        _ => url.to_owned(),
    }
}
