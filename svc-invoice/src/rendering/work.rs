//! The worker: takes documents from the queue, renders them, stores them, tells.
//!
//! A document is taken by moving its `next_attempt_at` ahead, a lease that is renewed while the work goes on; no database
//! connection is held meanwhile. Rendering gives the same bytes each time, so a repeat overwrites a file with itself.

use std::time::Duration;

use diesel::{ExpressionMethods, QueryDsl, QueryableByName, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::invoice::InvoiceRendered,
    database::{Database, DatabaseError, Tx, sql},
    objects::Stored,
    telemetry::Trace,
    types::InvoiceId,
};

use crate::{
    Invoices,
    document::{RenderError, RenderErrorKind},
    invoice::{
        Invoice,
        values::{DocumentFormat, DocumentState},
    },
    rendering::make::{Unmade, make},
    schema::document,
};

/// After this much silence of its worker a document is taken by another one.
const LEASE: Duration = Duration::from_secs(10);
const RENEW: Duration = Duration::from_secs(3);
/// How often WeasyPrint may fail on a page until the document is given up: it fails on the same page again.
const FAILURES: i32 = 3;
/// How often it may be too slow, which may be for want of processors and not for the page: with growing pauses some half a
/// day.
const TIMEOUTS: i32 = 22;
/// The longest pause between two attempts.
const PAUSE: Duration = Duration::from_secs(3600);
/// How long to wait for an operator to install WeasyPrint.
const UNTIL_INSTALLED: Duration = Duration::from_secs(60);

/// The documents that have waited longest, leased to us.
///
/// # Errors
/// The database's.
pub(crate) async fn claim(invoices: Invoices, at_most: i64) -> Result<Vec<Job>, DatabaseError> {
    let mut connection = invoices.database.connection().await?;
    let claimed = sql("with due as materialized (
             select invoice_id, format from document where state <> 'rendered' and next_attempt_at <= now()
             order by next_attempt_at limit $2 for update skip locked)
         update document set attempts = attempts + 1, next_attempt_at = now() + $1 * interval '1 second'
         from due where document.invoice_id = due.invoice_id and document.format = due.format
         returning document.invoice_id, document.format, attempts, failures, traceparent, request_id")
    .bind::<sql_types::Double, _>(LEASE.as_secs_f64())
    .bind::<sql_types::BigInt, _>(at_most)
    .load(&mut connection)
    .await?;
    Ok(claimed)
}

/// Renders one document, as part of the trace of the order or upload that it is of.
pub(crate) async fn render(invoices: Invoices, job: Job) {
    let trace = Trace::continued(Some(&job.traceparent), Some(&job.request_id));
    let span = tracing::info_span!(
        "render", invoice = %job.invoice_id, format = %job.format, attempt = job.attempts,
        request_id = trace.request_id(), trace_id = %trace
    );
    trace.scope(span, job.work(invoices)).await;
}

/// One attempt at one document.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Job {
    #[diesel(sql_type = sql_types::Uuid)]
    invoice_id: InvoiceId,
    #[diesel(sql_type = sql_types::Text)]
    format: DocumentFormat,
    #[diesel(sql_type = sql_types::Integer)]
    attempts: i32,
    /// How often the renderer failed on it before.
    #[diesel(sql_type = sql_types::Integer)]
    failures: i32,
    #[diesel(sql_type = sql_types::Text)]
    traceparent: String,
    #[diesel(sql_type = sql_types::Text)]
    request_id: String,
}

/// How an attempt failed.
struct Setback {
    /// For the invoice's owner.
    reason: String,
    /// When to try again; never, when there is no use.
    again: Option<Duration>,
    /// Whether the document is shown as failed until then.
    failed: bool,
    /// Whether it was the renderer, which brings the document nearer to being given up.
    renderers: bool,
}

impl Job {
    async fn work(self, invoices: Invoices) {
        let outcome = tokio::select! {
            outcome = self.render(&invoices) => outcome,
            () = self.keep_lease(&invoices.database) => return,
        };
        let settled = match outcome {
            Ok(stored) => self.succeed(&invoices.database, &stored).await,
            Err(setback) => self.fail(&invoices.database, &setback).await,
        };
        if let Err(error) = settled {
            tracing::warn!(invoice = %self.invoice_id, %error, "the outcome was not noted; the document is made again");
        }
    }

    /// Renews the lease until it is lost to another worker.
    async fn keep_lease(&self, database: &Database) {
        loop {
            tokio::time::sleep(RENEW).await;
            let Ok(mut connection) = database.connection().await else { continue };
            let renewed = sql("update document set next_attempt_at = now() + $4 * interval '1 second'
                 where invoice_id = $1 and format = $2 and attempts = $3 and state <> 'rendered'")
            .bind::<sql_types::Uuid, _>(self.invoice_id)
            .bind::<sql_types::Text, _>(self.format)
            .bind::<sql_types::Integer, _>(self.attempts)
            .bind::<sql_types::Double, _>(LEASE.as_secs_f64())
            .execute(&mut connection)
            .await;
            if renewed == Ok(0) {
                tracing::warn!(invoice = %self.invoice_id, "another worker has taken the document over");
                return;
            }
        }
    }

    /// Renders and stores, without holding a database connection.
    async fn render(&self, invoices: &Invoices) -> Result<Stored, Setback> {
        let away = |error: &dyn std::fmt::Display| {
            tracing::warn!(invoice = %self.invoice_id, %error, "the document has to wait");
            Setback::waiting("Something it needs is away.", Duration::from_secs(2))
        };
        let mut connection = invoices.database.connection().await.map_err(|error| away(&error))?;
        let found = Invoice::find(&mut connection, self.invoice_id).await.map_err(|error| away(&error))?;
        drop(connection);
        let invoice = found.ok_or_else(|| Setback::for_good("There is no such invoice."))?;
        make(invoices, &invoice, self.format, &self.object()).await.map_err(|unmade| match unmade {
            Unmade::ForGood(reason) => Setback::for_good(reason),
            Unmade::Renderer(error) => self.setback(&error),
            Unmade::Interrupted(error) => away(&error),
            Unmade::Store(error) => away(&error),
        })
    }

    fn object(&self) -> String {
        format!("{}/{}", self.invoice_id, self.format)
    }

    /// What a failure of the renderer means for the document.
    fn setback(&self, error: &RenderError) -> Setback {
        tracing::error!(
            invoice = %self.invoice_id, attempt = self.attempts, internal = error.internal(), "rendering failed: {error}"
        );
        match error.kind() {
            // The sentence for the operator is in the log; the owner of the invoice cannot install anything.
            RenderErrorKind::Missing => Setback {
                reason: "The renderer (WeasyPrint) is not installed on this system or cannot be started. The document \
                         is made as soon as it is."
                    .to_owned(),
                again: Some(UNTIL_INSTALLED),
                failed: true,
                renderers: false,
            },
            RenderErrorKind::Busy => Setback::waiting(error.to_string(), Duration::from_secs(1)),
            // The same page will be too large again.
            RenderErrorKind::TooLarge => self.renderers(error, 0),
            RenderErrorKind::Failed => self.renderers(error, FAILURES),
            RenderErrorKind::TimedOut => self.renderers(error, TIMEOUTS),
        }
    }

    /// The renderer failed on it, as it may `most` times. After a few times people are shown that, even if it goes on.
    fn renderers(&self, error: &RenderError, most: i32) -> Setback {
        let again = pause_after(self.failures, most);
        let failed = again.is_none() || self.failures.saturating_add(1) >= FAILURES;
        Setback { reason: error.to_string(), again, failed, renderers: true }
    }

    /// Notes where the document lies.
    async fn succeed(&self, database: &Database, stored: &Stored) -> Result<(), DatabaseError> {
        let mut tx = database.begin().await?;
        // Two formats that become ready together must not both believe that the other one is missing.
        let Some(invoice) = Invoice::lock(&mut tx, self.invoice_id).await? else { return Ok(()) };
        let noted = diesel::update(document::table.find((self.invoice_id, self.format)))
            .filter(document::attempts.eq(self.attempts))
            .filter(document::state.ne(DocumentState::Rendered))
            .set((
                document::state.eq(DocumentState::Rendered),
                document::object.eq(self.object()),
                document::size.eq(i64::try_from(stored.size).unwrap_or(i64::MAX)),
                document::sha256.eq(&stored.sha256),
                document::content_type.eq(self.format.media_type()),
                document::error.eq(None::<String>),
                document::next_attempt_at.eq(None::<chrono::DateTime<chrono::Utc>>),
            ))
            .execute(&mut tx)
            .await?;
        if noted == 1 {
            tell_when_settled(&mut tx, &invoice).await?;
        }
        tx.commit().await
    }

    /// Notes why there is no document, and when to try again.
    async fn fail(&self, database: &Database, setback: &Setback) -> Result<(), DatabaseError> {
        let mut tx = database.begin().await?;
        // As above: this may be what the others' readers are waiting for.
        let Some(invoice) = Invoice::lock(&mut tx, self.invoice_id).await? else { return Ok(()) };
        let state = if setback.failed { DocumentState::Failed } else { DocumentState::Queued };
        let noted = sql("update document set state = $4, failures = failures + $5, error = $6,
                 next_attempt_at = now() + $7 * interval '1 second'
             where invoice_id = $1 and format = $2 and attempts = $3 and state <> 'rendered'")
        .bind::<sql_types::Uuid, _>(self.invoice_id)
        .bind::<sql_types::Text, _>(self.format)
        .bind::<sql_types::Integer, _>(self.attempts)
        .bind::<sql_types::Text, _>(state)
        .bind::<sql_types::Integer, _>(i32::from(setback.renderers))
        .bind::<sql_types::Text, _>(&setback.reason)
        .bind::<sql_types::Nullable<sql_types::Double>, _>(setback.again.map(|delay| delay.as_secs_f64()))
        .execute(&mut tx)
        .await?;
        if noted == 1 && setback.again.is_none() {
            tell_when_settled(&mut tx, &invoice).await?;
        }
        tx.commit().await
    }
}

/// Tells that the invoice's documents can be downloaded, once none of them is waited for any more and there is one.
/// The invoice is locked, and one of its documents was settled, within `tx`.
async fn tell_when_settled(tx: &mut Tx, invoice: &Invoice) -> Result<(), DatabaseError> {
    let of_invoice = || document::table.filter(document::invoice_id.eq(invoice.id)).count();
    // What has failed for good is not waited for.
    let awaited: i64 = of_invoice()
        .filter(document::state.ne(DocumentState::Rendered))
        .filter(document::next_attempt_at.is_not_null())
        .get_result(tx)
        .await?;
    let rendered: i64 = of_invoice().filter(document::state.eq(DocumentState::Rendered)).get_result(tx).await?;
    if awaited == 0 && rendered > 0 {
        let (order_id, user_id) = (invoice.order_id, invoice.user_id);
        tx.record(&InvoiceRendered { invoice_id: invoice.id, order_id, user_id }).await?;
    }
    Ok(())
}

impl Setback {
    fn waiting(reason: impl Into<String>, delay: Duration) -> Self {
        Self { reason: reason.into(), again: Some(delay), failed: false, renderers: false }
    }

    fn for_good(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again: None, failed: true, renderers: false }
    }
}

/// How long to wait after a failure that so many preceded: two seconds, then twice as long each time. `None` when it was
/// the last one of `most`.
fn pause_after(failures: i32, most: i32) -> Option<Duration> {
    let doubled = Duration::from_secs(2).saturating_mul(1 << failures.clamp(0, 20));
    (failures.saturating_add(1) < most).then_some(doubled.min(PAUSE))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_slow_renderer_is_tried_for_hours_and_a_page_that_breaks_it_three_times() {
        let pauses = |most| (0..).map_while(move |failures| pause_after(failures, most));
        assert_eq!(pauses(FAILURES).collect::<Vec<_>>(), [Duration::from_secs(2), Duration::from_secs(4)]);
        let total: Duration = pauses(TIMEOUTS).sum();
        assert!((10..14).contains(&(total.as_secs() / 3600)), "{total:?}");
        assert_eq!(pauses(TIMEOUTS).max(), Some(PAUSE));
    }
}
