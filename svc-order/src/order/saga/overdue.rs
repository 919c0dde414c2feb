//! What has waited for too long: asks svc-payment what it knows, and goes on as if the event that did not come had come.
//!
//! | step | svc-payment says | what is done |
//! |---|---|---|
//! | `awaiting_payment` | captured | paid |
//! | `awaiting_payment` | failed | canceled: declined |
//! | `awaiting_payment` | anything else, or it knows nothing | canceled: not paid in time |
//! | `awaiting_payment` | no answer | asked again for half a minute, then canceled: not paid in time |
//! | `awaiting_refund` | so much went back | noted |
//! | `awaiting_refund` | anything else, or no answer | asked again in a minute; the audit shows the order until then |
//!
//! An order that is canceled here may have been charged all the same: svc-payment voids or refunds on `order.canceled`.

use std::time::Duration;

use diesel::{OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        payment::{GetPayment, PaymentDetails, PaymentProgress},
        user::Unknown,
    },
    database::{DatabaseError, Tx},
    invoke::CallError,
};

use super::{
    Happening, Step, hear,
    payment::{captured, fits},
    row::{self, Due, WorkQueue},
};
use crate::{
    Orders,
    order::{
        OrderRow,
        change::{ChangeError, Changes},
        refund,
    },
    schema::orders,
};

/// How many overdue orders an instance looks at, at once.
pub(crate) const AT_ONCE: usize = 8;
/// How long svc-payment is asked before an unpaid order is canceled without its answer.
const GRACE_S: i32 = 30;
const ASK_AGAIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_secs(60);

type Answer = Result<PaymentDetails, CallError<Unknown>>;

/// Takes the orders that are overdue for longest.
pub(crate) async fn claim(service: Orders, at_most: i64) -> Result<Vec<Due>, DatabaseError> {
    row::claim(&service.database, WorkQueue::Overdue, at_most).await
}

/// Looks after one overdue order.
pub(crate) async fn settle(service: Orders, due: Due) {
    let trace = due.trace();
    let span = tracing::info_span!(
        "overdue", order = %due.order_id, step = %due.step, request_id = trace.request_id(), trace_id = %trace
    );
    let work = async {
        let answer = service.calls.call(&GetPayment { order_id: due.order_id }).await;
        match decide(&service, &due, answer).await {
            Ok(None) => {}
            Ok(Some(again)) => due.try_later(&service.database, again).await,
            Err(error) => {
                tracing::error!(%error, "an overdue order could not be settled");
                due.try_later(&service.database, ASK_AGAIN).await;
            }
        }
    };
    trace.scope(span, work).await;
}

/// Does what the table says; when to look again, if that is needed.
async fn decide(service: &Orders, due: &Due, answer: Answer) -> Result<Option<Duration>, ChangeError> {
    let mut tx = service.database.begin().await?;
    // Whoever is moving it right now, or has moved it, has settled it.
    let order: Option<OrderRow> = orders::table
        .find(due.order_id)
        .select(OrderRow::as_select())
        .for_update()
        .skip_locked()
        .first(&mut tx)
        .await
        .optional()?;
    let Some(order) = order.filter(|order| Step::of(order.state()) == due.step) else { return Ok(None) };
    let mut changes = Changes::new();
    let again = match due.step {
        Step::AwaitingPayment => payment_overdue(&mut changes, &mut tx, due, order, answer).await?,
        Step::AwaitingRefund => refund_overdue(&mut changes, order, answer)?,
        Step::SecuringStock | Step::Done => None,
    };
    changes.write(&mut tx, &service.saga).await?;
    tx.commit().await?;
    Ok(again)
}

async fn payment_overdue(
    changes: &mut Changes,
    tx: &mut Tx,
    due: &Due,
    order: OrderRow,
    answer: Answer,
) -> Result<Option<Duration>, ChangeError> {
    let (happening, why) = match answer {
        Ok(details) if details.progress == PaymentProgress::Captured => {
            if let Err(wrong) = fits(&order, details.payment_id, details.captured) {
                tracing::error!("{wrong}");
                return Ok(Some(LOOK_AGAIN));
            }
            tracing::info!("its payment had come, only the event had not");
            let early = refund::early(tx, &[order.id]).await?.of(order.id, details.payment_id);
            captured(changes, tx, order, details.payment_id, early).await?;
            return Ok(None);
        }
        Ok(details) if details.progress == PaymentProgress::Failed => {
            (Happening::Failed(details.payment_id), "The payment was declined.")
        }
        Ok(_) | Err(CallError::Refused(Unknown::Unknown)) => (Happening::TimedOut, "The payment did not come in time."),
        Err(unanswered) if due.seconds_late < GRACE_S => {
            tracing::warn!(%unanswered, "svc-payment cannot say whether it is paid; asking again");
            return Ok(Some(ASK_AGAIN));
        }
        Err(unanswered) => {
            tracing::warn!(%unanswered, "canceled without knowing whether it is paid; if it is, the money goes back");
            (Happening::TimedOut, "The payment did not come in time.")
        }
    };
    hear(changes, order, happening, why)?;
    Ok(None)
}

fn refund_overdue(changes: &mut Changes, order: OrderRow, answer: Answer) -> Result<Option<Duration>, ChangeError> {
    let order = match answer {
        Ok(details) if Some(details.payment_id) == order.payment_id && details.refunded.currency == order.currency => {
            let (payment, so_far) = (details.payment_id, details.refunded.amount);
            let why = refund::went_back(&order, so_far);
            hear(changes, order, Happening::Refunded(payment, so_far), &why)?.1
        }
        Ok(details) => {
            tracing::error!(?details, "svc-payment speaks of another payment");
            order
        }
        Err(unanswered) => {
            tracing::warn!(%unanswered, "svc-payment cannot say whether the money went back");
            order
        }
    };
    if Step::of(order.state()) == Step::Done {
        return Ok(None);
    }
    tracing::error!(refunded = %order.money(order.refunded), total = %order.money(order.total), "a refund is overdue");
    Ok(Some(LOOK_AGAIN))
}
