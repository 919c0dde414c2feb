//! Writing down what was seen of many payments in one transaction: authorizations, captures and what else happens every day.
//!
//! What needs more than a look at the payment's row (refunds, a second capture, a contradiction, money of a canceled order) is
//! left to [`super::settle_alone`], unwritten.

use std::{collections::HashSet, sync::Arc};

use diesel::{
    ExpressionMethods, QueryDsl, SelectableHelper,
    sql_types::{self, Array, Nullable},
};
use diesel_async::RunQueryDsl;
use nats::{
    batch::{Batcher, Limits},
    contracts::payment::{DeclineReason, PaymentCaptured, PaymentFailed},
    database::{Database, DatabaseError, Tx, sql},
    outbox::Traced,
    telemetry::Trace,
    types::{OrderId, PaymentId},
};

use super::{LEASE_MS, Settled, contradiction, declined};
use crate::{
    payment::{Payment, PaymentStatus, TransactionKind, cancel, payment_columns},
    provider::{Operation, ProviderPayment},
    schema::payment,
};

/// The most payments of one transaction.
const MOST: usize = 128;

/// What was seen of a payment.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    pub(super) id: PaymentId,
    pub(super) seen: Arc<ProviderPayment>,
    /// The try of the worker that has it.
    pub(super) claimed: Option<i32>,
    pub(super) trace: Trace,
}

/// Settles sights that wait together. `None` when one is not of every day; nothing was written of it then.
pub(crate) type Settler = Batcher<Sight, Option<Settled>>;

/// Starts settling.
pub(crate) fn start(database: Database) -> Settler {
    let settle = move |sights| {
        let database = database.clone();
        async move { settle(&database, sights).await }
    };
    Batcher::start(Limits { weight: MOST, ..Limits::default() }, |_| 1, settle)
}

/// Whether nothing but the payment's own row can tell what this means.
pub(super) fn is_plain(seen: &ProviderPayment) -> bool {
    let mut kinds = HashSet::new();
    let once = |operation: &Operation| operation.kind != TransactionKind::Refund && kinds.insert(operation.kind);
    seen.operations.iter().all(once)
}

/// A payment that moves, or keeps its place with the worker that has it.
struct Move<'a> {
    before: &'a Payment,
    sight: &'a Sight,
    status: PaymentStatus,
    reason: Option<DeclineReason>,
}

async fn settle(database: &Database, sights: Vec<Sight>) -> Result<Vec<Option<Settled>>, DatabaseError> {
    let mut tx = database.begin().await?;
    let ids: Vec<PaymentId> = sights.iter().map(|sight| sight.id).collect();
    let locked = payment::table.filter(payment::id.eq_any(&ids)).order(payment::id).select(Payment::as_select());
    // One that somebody holds is waited for alone: it must not hold up all the others.
    let locked: Vec<Payment> = locked.for_update().skip_locked().load(&mut tx).await?;
    let orders: Vec<OrderId> = locked.iter().map(|payment| payment.order_id).collect();
    // Asked with the rows locked: whoever cancels from now on waits for us, and finds what we write.
    let canceled = cancel::canceled_of(&mut tx, &orders).await?;

    let mut met = HashSet::new();
    let moves: Vec<Option<Move<'_>>> = sights
        .iter()
        .map(|sight| {
            let before = locked.iter().find(|payment| payment.id == sight.id)?;
            met.insert(sight.id).then_some(())?;
            plan(before, sight, canceled.contains(&before.order_id))
        })
        .collect();
    let planned: Vec<&Move<'_>> = moves.iter().flatten().collect();
    let news = write_ledger(&mut tx, &planned).await?;
    let changed = |planned: &&&Move<'_>| {
        let newly = planned.sight.seen.operations.iter().any(|operation| news.contains(&operation.reference));
        newly || planned.status != planned.before.status || planned.sight.claimed.is_some()
    };
    let changed: Vec<&Move<'_>> = planned.iter().filter(changed).copied().collect();
    let after = move_all(&mut tx, &changed).await?;
    tell(&mut tx, &changed, &after).await?;
    tx.commit().await?;

    let settled = |planned: Option<Move<'_>>| {
        let before = planned?.before;
        let payment = after.iter().find(|after| after.id == before.id).unwrap_or(before).clone();
        Some(Settled { canceled: canceled.contains(&payment.order_id), payment })
    };
    Ok(moves.into_iter().map(settled).collect())
}

/// What the sight makes of the payment; `None` when that needs more than this row.
fn plan<'a>(before: &'a Payment, sight: &'a Sight, canceled: bool) -> Option<Move<'a>> {
    let seen = &sight.seen;
    let strange = contradiction(before, seen).is_some()
        || before.provider_reference.as_ref().is_some_and(|known| *known != seen.reference)
        // Which capture counts, the ledger tells.
        || before.status == PaymentStatus::Succeeded;
    let status = before.status.after(seen.status, canceled);
    let given_up = canceled || matches!(before.status, PaymentStatus::Failed | PaymentStatus::Canceled);
    if strange || (status == PaymentStatus::Succeeded && given_up) {
        return None;
    }
    Some(Move { before, sight, status, reason: declined(before, status, seen) })
}

/// Adds what was done and is not in the ledger yet; the provider's names of that.
async fn write_ledger(tx: &mut Tx, planned: &[&Move<'_>]) -> Result<HashSet<String>, DatabaseError> {
    #[derive(diesel::QueryableByName)]
    struct Written {
        #[diesel(sql_type = sql_types::Text)]
        provider_reference: String,
    }
    let effects = planned.iter().flat_map(|one| one.sight.seen.operations.iter().map(|done| (one.sight.id, done)));
    let effects: Vec<(PaymentId, &Operation)> = effects.filter(|(_, operation)| operation.refusal.is_none()).collect();
    if effects.is_empty() {
        return Ok(HashSet::new());
    }
    let written: Vec<Written> = sql("insert into transaction (payment_id, kind, amount, provider_reference)
         select * from unnest($1, $2, $3, $4)
         on conflict (provider_reference) do nothing returning provider_reference")
    .bind::<Array<sql_types::Uuid>, _>(effects.iter().map(|(payment, _)| *payment).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(effects.iter().map(|(_, operation)| operation.kind).collect::<Vec<_>>())
    .bind::<Array<sql_types::BigInt>, _>(
        effects.iter().map(|(_, operation)| operation.amount.amount).collect::<Vec<_>>(),
    )
    .bind::<Array<sql_types::Text>, _>(effects.iter().map(|(_, operation)| &operation.reference).collect::<Vec<_>>())
    .load(tx)
    .await?;
    Ok(written.into_iter().map(|row| row.provider_reference).collect())
}

/// The payments in their new states; what is open stays with the worker that has it, for another lease.
async fn move_all(tx: &mut Tx, changed: &[&Move<'_>]) -> Result<Vec<Payment>, DatabaseError> {
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    Ok(sql(concat!(
        "update payment
         set status = moved.status, provider_reference = moved.reference, decline_reason = moved.reason, updated_at = now(),
             next_try_at = case when moved.status in ('processing', 'requires_capture')
                 then case when tries = moved.claimed then now() + $6 * interval '1 millisecond' else next_try_at end end
         from unnest($1, $2, $3, $4, $5) as moved (id, status, reference, reason, claimed)
         where payment.id = moved.id returning ",
        payment_columns!()
    ))
    .bind::<Array<sql_types::Uuid>, _>(changed.iter().map(|one| one.before.id).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(changed.iter().map(|one| one.status).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(changed.iter().map(|one| one.sight.seen.reference.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<sql_types::Text>>, _>(changed.iter().map(|one| one.reason).collect::<Vec<_>>())
    .bind::<Array<Nullable<sql_types::Integer>>, _>(changed.iter().map(|one| one.sight.claimed).collect::<Vec<_>>())
    .bind::<sql_types::Integer, _>(LEASE_MS)
    .load(tx)
    .await?)
}

/// The events of those that came to an end.
async fn tell(tx: &mut Tx, changed: &[&Move<'_>], after: &[Payment]) -> Result<(), DatabaseError> {
    let (mut captured, mut failed) = (Vec::new(), Vec::new());
    for one in changed.iter().filter(|one| one.status != one.before.status) {
        let Some(now) = after.iter().find(|after| after.id == one.before.id) else { continue };
        let (payment_id, order_id, user_id, amount) = (now.id, now.order_id, now.user_id, now.money());
        let trace = one.sight.trace.clone();
        match (now.status, now.decline_reason) {
            (PaymentStatus::Succeeded, _) => {
                let event = PaymentCaptured { payment_id, order_id, user_id, amount };
                captured.push(Traced { event, trace });
            }
            (PaymentStatus::Failed, Some(reason)) => {
                tracing::info!(payment = %payment_id, %reason, "declined");
                failed.push(Traced { event: PaymentFailed { payment_id, order_id, user_id, reason }, trace });
            }
            _ => {}
        }
    }
    tx.record_all(&captured).await?;
    tx.record_all(&failed).await
}
