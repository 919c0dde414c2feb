//! Limits that all gateways share, in Redis: one round trip per request, one small key per caller and class, which goes by
//! itself when the quota is whole again.
//!
//! After three failures in a row nobody waits for it any more: one request a second looks whether it is back.
//!
//! Trap: after a restart Redis does not know the script; the first request then needs three round trips.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use nats::resilience::{Guard, Policy, Verdict};
use redis::{
    Client, IntoConnectionInfo, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use super::{Class, Quota, Who, gcra::Standing};

/// How Redis is waited for, but for the time.
const POLICY: Policy = Policy {
    name: "limits",
    deadline: Duration::ZERO,
    tries: 1,
    pause: Duration::ZERO,
    failures: 3,
    open_for: Duration::from_secs(1),
    at_once: 1024,
};
/// How long a connection may take to come about, and a dead one to be given up.
const CONNECTS_WITHIN: Duration = Duration::from_secs(1);

/// See the head of this file.
pub(super) struct Store {
    script: Script,
    connection: ConnectionManager,
    guard: Guard,
    /// Whether the last look found it away, so that only a change is logged.
    away: AtomicBool,
}

impl Store {
    /// Of the Redis at this URL, which is given so much time; whether it is there is seen with the first request.
    ///
    /// # Errors
    /// When it is no URL of a Redis. The URL may hold a password and is not repeated.
    pub(super) fn new(url: &str, patience: Duration) -> Result<Self, RedisError> {
        let info = url.into_connection_info()?;
        let settings = info.tcp_settings().clone().set_nodelay(true);
        // A peer that vanished without a word would be waited for until the kernel gives up, a quarter of an hour later.
        #[cfg(target_os = "linux")]
        let settings = settings.set_user_timeout(CONNECTS_WITHIN);
        let client = Client::open(info.set_tcp_settings(settings))?;
        // Tried again with the next request that looks.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(CONNECTS_WITHIN))
            .set_response_timeout(None);
        Ok(Self {
            script: Script::new(include_str!("gcra.lua")),
            connection: ConnectionManager::new_lazy_with_config(client, config)?,
            guard: Guard::new(Policy { deadline: patience, ..POLICY }, "redis"),
            away: AtomicBool::new(false),
        })
    }

    /// Takes one request; `None` when Redis cannot be asked.
    pub(super) async fn take(&self, class: Class, who: Who, quota: Quota) -> Option<Standing> {
        let key = format!("argosy:limit:{}:{who}", class.as_str());
        let attempt = |time| self.ask(&key, quota, time);
        let judge = |answer: &Result<Standing, String>| match answer {
            Ok(_) => Verdict::Fine,
            Err(_) => Verdict::Failed { again: false },
        };
        let answer = self.guard.run(self.guard.policy().deadline, judge, attempt).await.ok()?;
        match &answer {
            Ok(_) if self.away.swap(false, Ordering::Relaxed) => {
                tracing::info!("limits are shared through Redis again")
            }
            Err(error) if !self.away.swap(true, Ordering::Relaxed) => {
                tracing::warn!(error, "Redis cannot be asked: each gateway limits by itself");
            }
            _ => {}
        }
        answer.ok()
    }

    async fn ask(&self, key: &str, quota: Quota, time: Duration) -> Result<Standing, String> {
        let mut connection = self.connection.clone();
        let mut call = self.script.prepare_invoke();
        call.key(key).arg(quota.cost()).arg(quota.whole());
        let answer = tokio::time::timeout(time, call.invoke_async::<(bool, u64, u64)>(&mut connection)).await;
        let (taken, until_full, wait) = match answer {
            Ok(answer) => answer.map_err(|error| error.to_string())?,
            Err(_elapsed) => return Err(format!("no answer in {} ms", time.as_millis())),
        };
        Ok(Standing { taken, until_full, wait })
    }
}
