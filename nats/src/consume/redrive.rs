//! Redriving: a dead letter goes through its own consumer again, out of the table.
//!
//! Nothing is published, so no other consumer sees it and no deduplication is in the way. The letter is locked in the
//! handler's own transaction, which deletes it: any number of instances may redrive, and a crash leaves it as it was.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::{Consumer, Failure, MESSAGE_DEADLINE, dead, handler::Work};
use crate::{
    contracts::Event,
    database::{DatabaseError, Tx},
    telemetry::{REQUEST_ID, TRACEPARENT, Trace},
};

/// How often a consumer looks when nobody told it anything: for what another instance was told, or what was away.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Tells the consumers of this process that there may be letters to redrive; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Redrives(watch::Sender<()>);

impl Default for Redrives {
    fn default() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl Redrives {
    /// There may be some now.
    pub(crate) fn now(&self) {
        self.0.send_replace(());
    }
}

impl<S, E, W> Consumer<S, E, W>
where
    S: Clone + Send + Sync + 'static,
    E: Event,
    W: Work<S, E>,
{
    /// Redrives what somebody asked for, until `stop`.
    pub(super) async fn redrive(&self, stop: &CancellationToken) {
        let mut told = self.consuming.redrives.0.subscribe();
        // Round and round by id, with a pause after each round: one whose help is away does not hold up the others.
        let mut after = Uuid::nil();
        while !stop.is_cancelled() {
            match self.redrive_next(after, stop).await {
                Ok(Some(id)) => {
                    after = id;
                    continue;
                }
                Ok(None) => after = Uuid::nil(),
                Err(error) => {
                    tracing::warn!(consumer = self.durable, %error, "redriving dead letters failed; trying again")
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                _told = told.changed() => after = Uuid::nil(),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Tries the next letter after `after`; tells which that was.
    async fn redrive_next(&self, after: Uuid, stop: &CancellationToken) -> Result<Option<Uuid>, DatabaseError> {
        let _turn = self.database.background().await;
        let silent = || Err(DatabaseError::Unreachable { reason: format!("it took over {MESSAGE_DEADLINE:?}") });
        tokio::time::timeout(MESSAGE_DEADLINE, self.redrive_after(after, stop)).await.unwrap_or_else(|_| silent())
    }

    async fn redrive_after(&self, after: Uuid, stop: &CancellationToken) -> Result<Option<Uuid>, DatabaseError> {
        let mut tx = self.database.begin().await?;
        let Some(row) = dead::next(&mut tx, &self.durable, after).await? else {
            tx.roll_back().await?;
            return Ok(None);
        };
        let message = row.message();
        let trace = Trace::continued(message.header(TRACEPARENT), message.header(REQUEST_ID));
        let span = tracing::info_span!(
            "redrive", consumer = self.durable, subject = message.subject, request_id = trace.request_id(), trace_id = %trace
        );
        let work = async {
            let outcome = match message.open::<E>() {
                Ok(event) => self.handle_letter(tx, row.id, event).await,
                Err(reason) => {
                    tx.roll_back().await?;
                    Err(Failure::Dead(reason))
                }
            };
            match outcome {
                Ok(()) => tracing::info!("the dead letter was redriven"),
                // Whatever failed while the process was stopping says nothing about the message.
                Err(_) if stop.is_cancelled() => {}
                Err(failure) => {
                    tracing::warn!(%failure, "redriving the dead letter failed");
                    let again = matches!(failure, Failure::Unavailable(_));
                    let mut connection = self.database.connection().await?;
                    dead::put_back(&mut connection, row.id, &failure.to_string(), again).await?;
                }
            }
            Ok(Some(row.id))
        };
        trace.scope(tracing::Span::none(), work.instrument(span)).await
    }

    /// The handler's transaction, which deletes the letter as well.
    async fn handle_letter(&self, mut tx: Tx, id: Uuid, event: super::Received<E>) -> Result<(), Failure> {
        let new = self.claim(&mut tx, vec![event], true).await?;
        self.call(&mut tx, new).await?;
        dead::delete(&mut tx, id).await?;
        Ok(tx.commit().await?)
    }
}
