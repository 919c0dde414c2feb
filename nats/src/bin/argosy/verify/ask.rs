//! Asking services, with patience for one that restarts.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nats::{
    contracts::Call,
    invoke::{CallError, Caller},
};

/// How long a service may stay away until it counts as one that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// Asks; cheap to clone.
#[derive(Clone)]
pub(crate) struct Asker {
    caller: Caller,
    /// Who was waited for in vain: nobody is waited for twice.
    away: Arc<Mutex<BTreeSet<String>>>,
}

impl Asker {
    pub(crate) fn new(caller: Caller) -> Self {
        Self { caller, away: Arc::default() }
    }

    /// The answer, or why there is none, as a sentence.
    pub(crate) async fn ask<C: Call>(&self, service: &str, question: &C) -> Result<C::Reply, String> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let error = match self.caller.call_at(service, question).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let about = C::VERB;
            match error {
                CallError::Refused(refusal) => return Err(format!("{service} refuses {about}: {refusal:?}")),
                CallError::Failed(reason) => return Err(format!("{service} fails over {about}: {reason}")),
                away if tokio::time::Instant::now() > until || self.is_away(service) => {
                    self.gone().insert(service.to_owned());
                    let why = if matches!(away, CallError::TimedOut { .. }) { " in time" } else { "" };
                    return Err(format!("{service} does not answer {about}{why}; is it running?"));
                }
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn is_away(&self, service: &str) -> bool {
        self.gone().contains(service)
    }

    fn gone(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
