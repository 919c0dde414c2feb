//! The saga: what happens to an order after it was placed.
//!
//! | step | when | done by | when it cannot be done |
//! |---|---|---|---|
//! | reserve | `POST /v1/orders` | svc-catalog holds the stock under the order's id | the request is refused, nothing is written |
//! | place | stock and rate are known | [`super::place`]: order, history and `order.placed` in one transaction | the stock is given back |
//! | charge | `order.placed` | svc-payment: `payment.captured` or `payment.failed` | tried again there |
//! | confirm | `payment.captured` | [`confirm_paid`]: confirmed, captured, `order.confirmed` | canceled before: the money is noted as ours, a refund is due |
//! | cancel | `payment.failed` | [`cancel_unpaid`]: canceled, failed, `order.canceled` | paid before by another attempt: nothing |
//! | time out | neither for `PAYMENT_TIMEOUT` | [`cancel_overdue`], a sweep: canceled, canceled, `order.canceled` | the next sweep |
//! | note a refund | `payment.refunded` | [`super::refund`]: refunded or partially refunded, by the sum | its capture is on its way: tried again |
//! | complete | staff: `POST /v1/orders/{id}/complete` | [`super::complete`]: completed, fulfilled, `order.completed` | not paid, or some of it went back: refused |
//! | settle the stock | `order.confirmed`, `order.canceled` | svc-catalog: a sale, or given back | the reservation expires |
//!
//! Each step is decided on the locked row, so events may come late, twice, or in any order, and may race with a person who
//! cancels: the first to have the row decides, and what comes after it is settled by the state that it finds.
//!
//! The trap: "at most once" would lose orders and "at least once" would pay twice. The inbox makes repeats of one event
//! harmless; two events about one payment are told apart here, by the payment's id.

use chrono::Utc;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    consume::{Failure, Received},
    contracts::{
        order::CancelReason,
        payment::{DeclineReason, PaymentCaptured, PaymentFailed},
    },
    database::Tx,
    types::{OrderId, PaymentId},
};

use super::{
    OrderRow,
    change::{ChangeError, change},
    history::{self, By, OrderChange},
    status::{Change, OrderStatus, State},
};
use crate::{Orders, schema::orders};

/// How many overdue orders one sweep looks at; the rest is left to the next.
const PER_SWEEP: i64 = 200;

/// What something that is learnt of a payment means for the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The order moves.
    Moves(Change),
    /// Nothing new.
    Known,
    /// It does not fit what is known; a person has to look.
    Contradicts(&'static str),
}

/// `payment` was captured, and `paid_by` is the payment whose money we had before.
fn captured(state: State, paid_by: Option<PaymentId>, payment: PaymentId) -> Meaning {
    match (state.order, paid_by) {
        (_, Some(known)) if known == payment => Meaning::Known,
        (_, Some(_)) => {
            Meaning::Contradicts("was captured although another payment had paid the order before: it was paid twice")
        }
        (OrderStatus::Pending, None) => Meaning::Moves(Change::Confirm(payment)),
        (OrderStatus::Canceled, None) => Meaning::Moves(Change::CaptureLate(payment)),
        (OrderStatus::Confirmed | OrderStatus::Completed, None) => {
            Meaning::Contradicts("was captured for an order that was settled without it")
        }
    }
}

/// `payment` failed for good, and `paid_by` is the payment whose money we have.
fn failed(state: State, paid_by: Option<PaymentId>, payment: PaymentId) -> Meaning {
    match (state.order, paid_by) {
        (_, Some(known)) if known == payment => Meaning::Contradicts("is said to have failed after it was captured"),
        (OrderStatus::Pending, _) => Meaning::Moves(Change::Cancel(CancelReason::PaymentFailed)),
        // Canceled before, or paid by another attempt: that no money came from this one changes nothing.
        _ => Meaning::Known,
    }
}

/// `payment.captured`: the order is confirmed.
pub(crate) async fn confirm_paid(tx: &mut Tx, _: Orders, received: Received<PaymentCaptured>) -> Result<(), Failure> {
    let event = received.event;
    let order = locked(tx, event.order_id).await?;
    let total = order.money(order.total);
    if event.amount != total {
        return Err(Failure::Dead(format!("{} captured {} for an order of {total}", event.payment_id, event.amount)));
    }
    let meaning = captured(order.state(), order.payment_id, event.payment_id);
    settle(tx, &order, event.payment_id, meaning, "The payment arrived.").await
}

/// `payment.failed`: the order is canceled.
pub(crate) async fn cancel_unpaid(tx: &mut Tx, _: Orders, received: Received<PaymentFailed>) -> Result<(), Failure> {
    let event = received.event;
    let order = locked(tx, event.order_id).await?;
    let why = match event.reason {
        DeclineReason::Declined => "The payment was declined.",
        DeclineReason::InsufficientFunds => "The payment was declined: the account does not cover it.",
        DeclineReason::UnknownPaymentMethod => "The payment was declined: the payment method is not known.",
    };
    let meaning = failed(order.state(), order.payment_id, event.payment_id);
    settle(tx, &order, event.payment_id, meaning, why).await
}

/// The order of an event, held until the transaction ends.
pub(super) async fn locked(tx: &mut Tx, id: OrderId) -> Result<OrderRow, Failure> {
    let order = OrderRow::lock(tx, id).await?;
    order.ok_or_else(|| Failure::Dead(format!("there is no order {id}")))
}

/// Does what was learnt of `payment` means for the order.
pub(super) async fn settle(
    tx: &mut Tx,
    order: &OrderRow,
    payment: PaymentId,
    meaning: Meaning,
    why: &str,
) -> Result<(), Failure> {
    match meaning {
        Meaning::Moves(late @ Change::CaptureLate(_)) => {
            tracing::error!(order_id = %order.id, payment_id = %payment, "paid after it was canceled; a refund is due");
            let why = format!("The payment {payment} was captured after the order had been canceled. A refund is due.");
            change(tx, order, late, By::System, &why).await?;
        }
        Meaning::Moves(next) => {
            change(tx, order, next, By::System, why).await?;
        }
        Meaning::Known => {
            tracing::info!(order_id = %order.id, payment_id = %payment, status = %order.status, "known already")
        }
        Meaning::Contradicts(what) => {
            tracing::error!(order_id = %order.id, payment_id = %payment, status = %order.status, "the payment {what}");
            let why = format!("The payment {payment} {what}.");
            history::write(tx, order.id, OrderChange::PaymentContradicted, order.state(), By::System, &why).await?;
        }
    }
    Ok(())
}

/// The sweep: cancels orders whose payment did not come in time.
///
/// # Errors
/// When the database cannot; what was canceled before that stays canceled.
pub(crate) async fn cancel_overdue(service: Orders) -> Result<(), ChangeError> {
    let deadline = Utc::now() - service.payment_timeout;
    let overdue: Vec<OrderId> = orders::table
        .filter(orders::status.eq(OrderStatus::Pending))
        .filter(orders::placed_at.lt(deadline))
        .order(orders::placed_at)
        .limit(PER_SWEEP)
        .select(orders::id)
        .load(&mut service.database.connection().await?)
        .await?;
    for id in overdue {
        let mut tx = service.database.begin().await?;
        // Someone else may be moving it right now, or may have moved it: then it is theirs.
        let order: Option<OrderRow> = orders::table
            .find(id)
            .filter(orders::status.eq(OrderStatus::Pending))
            .select(OrderRow::as_select())
            .for_update()
            .skip_locked()
            .first(&mut tx)
            .await
            .optional()?;
        let Some(order) = order else { continue };
        let timed_out = Change::Cancel(CancelReason::PaymentTimeout);
        change(&mut tx, &order, timed_out, By::System, "The payment did not come in time.").await?;
        tx.commit().await?;
        tracing::info!(order_id = %id, "canceled: not paid in time");
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::order::status::PaymentStatus;

    /// What can reach an order, of one of three payments.
    #[derive(Debug, Clone, Copy)]
    enum Happening {
        Captured(usize),
        Failed(usize),
        Canceled,
        TimedOut,
    }

    fn any_happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            (0_usize..3).prop_map(Happening::Captured),
            (0_usize..3).prop_map(Happening::Failed),
            Just(Happening::Canceled),
            Just(Happening::TimedOut),
        ]
    }

    proptest! {
        /// Late, twice, in any order: every event means something that the state allows, no money is forgotten, and an
        /// order is confirmed or canceled once.
        #[test]
        fn whatever_comes_is_settled(happenings in prop::collection::vec(any_happening(), 1..16)) {
            let payments = [PaymentId::new(), PaymentId::new(), PaymentId::new()];
            let (mut state, mut paid_by) = (State::PLACED, None);
            let (mut settled, mut taken, mut noted) = (0, BTreeSet::new(), BTreeSet::new());
            for happening in happenings {
                let meaning = match happening {
                    Happening::Captured(n) => {
                        taken.insert(payments[n]);
                        captured(state, paid_by, payments[n])
                    }
                    Happening::Failed(n) => failed(state, paid_by, payments[n]),
                    // A person and the sweep only touch orders that are pending.
                    _ if state.order != OrderStatus::Pending => Meaning::Known,
                    Happening::Canceled => Meaning::Moves(Change::Cancel(CancelReason::Customer)),
                    Happening::TimedOut => Meaning::Moves(Change::Cancel(CancelReason::PaymentTimeout)),
                };
                match (meaning, happening) {
                    (Meaning::Moves(change), _) => {
                        let after = state.after(change);
                        prop_assert!(after.is_ok(), "{:?} led to {:?} in {:?}", happening, change, state);
                        settled += i32::from(after.unwrap().order != state.order);
                        state = after.unwrap();
                        if let Change::Confirm(payment) | Change::CaptureLate(payment) = change {
                            paid_by = Some(payment);
                            noted.insert(payment);
                        }
                    }
                    (Meaning::Contradicts(_), Happening::Captured(n)) => {
                        noted.insert(payments[n]);
                    }
                    _ => {}
                }
                prop_assert_eq!(paid_by.is_some(), state.payment == PaymentStatus::Captured);
            }
            prop_assert_eq!(&taken, &noted, "every capture is on the order or in its history");
            prop_assert!(settled <= 1, "confirmed or canceled once");
            prop_assert!(taken.is_empty() || state.order != OrderStatus::Pending);
        }
    }

    #[test]
    fn the_same_fact_again_is_nothing_new() {
        let payment = PaymentId::new();
        let confirmed = State::PLACED.after(Change::Confirm(payment)).unwrap();
        assert_eq!(captured(confirmed, Some(payment), payment), Meaning::Known);
        let declined = State::PLACED.after(Change::Cancel(CancelReason::PaymentFailed)).unwrap();
        assert_eq!(failed(declined, None, payment), Meaning::Known);
    }

    #[test]
    fn contradictions_are_seen() {
        let (one, other) = (PaymentId::new(), PaymentId::new());
        let confirmed = State::PLACED.after(Change::Confirm(one)).unwrap();
        assert!(matches!(captured(confirmed, Some(one), other), Meaning::Contradicts(_)), "paid twice");
        assert!(matches!(failed(confirmed, Some(one), one), Meaning::Contradicts(_)), "captured, then failed");
        assert_eq!(failed(confirmed, Some(one), other), Meaning::Known, "another attempt brought the money");
    }
}
