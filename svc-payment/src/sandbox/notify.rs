//! The webhooks that the sandbox sends: one per operation, until somebody takes it.
//!
//! Trap: what is sent late, twice or out of order is what was asked for; see the settings of [`super`].

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::Utc;
use nats::config::Settings;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Sandbox, SandboxError};
use crate::{
    provider::{Notice, Operation, Subject},
    signature::{ID, SIGNATURE, SigningSecret, TIMESTAMP},
};

/// How many are on their way at once.
const AT_ONCE: usize = 16;
const SEND_WITHIN: Duration = Duration::from_secs(5);
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// How long to wait when there is nothing to send.
const IDLE: Duration = Duration::from_secs(3600);

/// A webhook that is to be sent: when, of the operation at which place, which copy, after how many tries.
type Due = (Instant, i64, u32, u32);

/// Whom to tell, and what they have not heard yet.
pub(super) struct Notices {
    to: Option<(String, SigningSecret)>,
    delay: Duration,
    jitter_ms: u64,
    copies: u32,
    due: Mutex<Queue>,
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    due: BTreeSet<Due>,
    told: HashSet<i64>,
}

impl Notices {
    pub(super) fn of(settings: &Settings) -> Result<Self, SandboxError> {
        let to = match settings.get("WEBHOOK_URL")? {
            None => None,
            Some(url) => {
                let secret = settings.require("WEBHOOK_SECRET")?.parse();
                let wrong = |error: String| SandboxError::Setting(format!("setting WEBHOOK_SECRET: {error}"));
                Some((url, secret.map_err(wrong)?))
            }
        };
        Ok(Self {
            to,
            delay: Duration::from_millis(settings.parse("WEBHOOK_DELAY_MS", 0)?),
            jitter_ms: settings.parse("WEBHOOK_JITTER_MS", 0)?,
            copies: settings.parse("WEBHOOK_COPIES", 1)?,
            due: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// An operation that was told of before the restart.
    pub(super) fn told_before(&self, sequence: i64) {
        self.queue().told.insert(sequence);
    }

    /// Has an operation told, unless it was.
    pub(super) fn tell(&self, operation: &Operation) {
        let mut queue = self.queue();
        if self.to.is_none() || queue.told.contains(&operation.sequence) {
            return;
        }
        for copy in 0..self.copies {
            let late = Duration::from_millis(rand::random_range(0..=self.jitter_ms));
            queue.due.insert((Instant::now() + self.delay + late, operation.sequence, copy, 0));
        }
        drop(queue);
        self.changed.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next one that is due, or when the next one will be.
    fn next(&self) -> Result<Due, Instant> {
        let mut queue = self.queue();
        match queue.due.first().copied() {
            Some(first) if first.0 <= Instant::now() => {
                queue.due.remove(&first);
                Ok(first)
            }
            Some(first) => Err(first.0),
            None => Err(Instant::now() + IDLE),
        }
    }

    fn again(&self, (_, sequence, copy, tries): Due) {
        let delay = FIRST_DELAY.saturating_mul(1 << tries.min(16)).min(LONGEST_DELAY);
        let delay = delay * rand::random_range(50..=100) / 100;
        self.queue().due.insert((Instant::now() + delay, sequence, copy, tries.saturating_add(1)));
        self.changed.notify_one();
    }
}

/// Sends what is due, for ever.
pub(super) async fn send(sandbox: Arc<Sandbox>) {
    let client = reqwest::Client::builder().timeout(SEND_WITHIN).no_proxy().build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return tracing::error!(%error, "no webhook can be sent"),
    };
    let mut sending = JoinSet::new();
    loop {
        let full = sending.len() >= AT_ONCE;
        let wait = match if full { Err(Instant::now() + IDLE) } else { sandbox.notices.next() } {
            Ok(due) => {
                sending.spawn(deliver(Arc::clone(&sandbox), client.clone(), due));
                continue;
            }
            Err(until) => until,
        };
        tokio::select! {
            Some(_) = sending.join_next() => {}
            () = sandbox.notices.changed.notified(), if !full => {}
            () = sleep_until(wait) => {}
        }
    }
}

/// Sends one; it is sent again until it is taken.
async fn deliver(sandbox: Arc<Sandbox>, client: reqwest::Client, due: Due) {
    let sequence = due.1;
    match attempt(&sandbox, &client, sequence).await {
        Ok(()) => sandbox.note_told(sequence),
        Err(reason) => {
            tracing::info!(sequence, reason, "a webhook was not taken; it is sent again");
            sandbox.notices.again(due);
        }
    }
}

async fn attempt(sandbox: &Sandbox, client: &reqwest::Client, sequence: i64) -> Result<(), String> {
    let Some((url, secret)) = &sandbox.notices.to else { return Ok(()) };
    let Some(operation) = sandbox.memory().book.operation(sequence).cloned() else { return Ok(()) };
    let id = format!("msg_{}", operation.reference);
    let notice = Notice {
        r#type: format!("payment.{}", operation.kind),
        timestamp: operation.created_at,
        data: Subject { payment: operation.payment, operation: operation.reference },
    };
    let body = serde_json::to_vec(&notice).map_err(|error| error.to_string())?;
    let now = Utc::now().timestamp();
    let request = client
        .post(url)
        .header("Content-Type", "application/json")
        .header(ID, &id)
        .header(TIMESTAMP, now)
        .header(SIGNATURE, secret.sign(&id, now, &body))
        .body(body);
    let answer = request.send().await.map_err(|error| error.to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("it was answered {}", answer.status())) }
}
