//! The saga: what happens to an order after it was placed.
//!
//! | step | waits for | deadline | on success | on failure | compensation |
//! |---|---|---|---|---|---|
//! | `awaiting_payment` | `payment.captured` or `payment.failed` | `PAYMENT_TIMEOUT` | paid: `securing_stock` | declined or overdue: canceled, `done` | `order.canceled`: svc-catalog frees the stock, svc-payment voids, or refunds |
//! | `securing_stock` | svc-catalog's answer to `commit_stock` | a minute | confirmed, `order.confirmed`: `done` | sold out meanwhile: canceled, `awaiting_refund`; no answer: asked again until there is one | `order.canceled`: svc-payment refunds |
//! | `awaiting_refund` | `payment.refunded`, until all of the money went back | five minutes | noted: `done` | svc-payment is asked every minute, and the audit shows the order | none: the money must go back |
//! | `done` | nothing | none | money that comes after the cancellation: `awaiting_refund` | | |
//!
//! Before it, [`super::place`] has reserved the stock and written order, saga and `order.placed` together. After it, staff
//! may complete a confirmed order ([`super::complete`]).
//!
//! The stored step follows from the order's states ([`Step::of`]) and moves with them, in [`super::change`] alone. What
//! happens to an order is decided on its locked row by one function ([`meaning`]); events may therefore come late, twice,
//! or in any order, and may race with a person who cancels: the first to have the row decides, and what comes after it is
//! settled by the state that it finds. [`payment`] and [`super::refund`] take the events, [`stock`] secures the goods, and
//! [`overdue`] looks after what waits for too long, whatever became of its events.
//!
//! The trap: "at most once" would lose orders and "at least once" would pay twice. The inbox makes repeats of one event
//! harmless; two events about one payment, or one refund, are told apart here, by their ids.

pub(crate) mod overdue;
pub(crate) mod payment;
pub(crate) mod row;
pub(crate) mod stock;

use std::time::Duration;

use nats::{
    consume::Failure,
    contracts::order::CancelReason,
    database::Tx,
    types::{OrderId, PaymentId},
    work::Queue,
};

use super::{
    OrderRow,
    change::Changes,
    history::{By, NewEntry, OrderChange},
    status::{Change, Illegal, OrderStatus, PaymentStatus, State, names},
};

/// What the saga needs to go on with an order.
#[derive(Debug, Clone)]
pub(crate) struct Saga {
    /// How long an order may stay unpaid.
    pub(crate) payment_timeout: Duration,
    /// The paid orders whose goods are to be secured.
    pub(crate) stock: Queue,
}

names! {
    /// What an order waits for.
    pub(crate) Step, "a step of the saga" {
        /// Its payment.
        AwaitingPayment = "awaiting_payment",
        /// The catalogue's word that its goods are the customer's.
        SecuringStock = "securing_stock",
        /// That its money goes back.
        AwaitingRefund = "awaiting_refund",
        /// Nothing.
        Done = "done",
    }
}

impl Step {
    /// The step of an order in this state.
    pub(crate) const fn of(state: State) -> Self {
        match (state.order, state.payment) {
            (OrderStatus::Pending, payment) if payment.has_money() => Self::SecuringStock,
            (OrderStatus::Pending, _) => Self::AwaitingPayment,
            (OrderStatus::Canceled, PaymentStatus::Captured | PaymentStatus::PartiallyRefunded) => Self::AwaitingRefund,
            (OrderStatus::Confirmed | OrderStatus::Completed | OrderStatus::Canceled, _) => Self::Done,
        }
    }

    /// How long it should take; `payment` is how long an order may stay unpaid.
    const fn allowance(self, payment: Duration) -> Option<Duration> {
        match self {
            Self::AwaitingPayment => Some(payment),
            Self::SecuringStock => Some(Duration::from_secs(60)),
            Self::AwaitingRefund => Some(Duration::from_secs(300)),
            Self::Done => None,
        }
    }
}

/// What can happen to an order, other than through a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A payment was captured.
    Captured(PaymentId),
    /// A payment failed for good.
    Failed(PaymentId),
    /// So much of a payment went back, in all, in minor units.
    Refunded(PaymentId, i64),
    /// The goods are the customer's.
    StockSecured,
    /// There are no goods, and there will be none.
    OutOfStock,
    /// The payment did not come in time.
    TimedOut,
}

impl Happening {
    const fn payment(self) -> Option<PaymentId> {
        match self {
            Self::Captured(payment) | Self::Failed(payment) | Self::Refunded(payment, _) => Some(payment),
            Self::StockSecured | Self::OutOfStock | Self::TimedOut => None,
        }
    }
}

/// What of an order decides what a happening means for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    state: State,
    /// The payment whose money we have.
    paid_by: Option<PaymentId>,
    /// Minor units.
    total: i64,
    /// What of it went back: minor units.
    refunded: i64,
}

impl Facts {
    const fn of(order: &OrderRow) -> Self {
        Self { state: order.state(), paid_by: order.payment_id, total: order.total, refunded: order.refunded }
    }
}

/// What a happening means for an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The order moves.
    Moves(Change),
    /// Nothing new.
    Known,
    /// It is about a payment that is not known yet; kept until it is.
    Early,
    /// It does not fit what is known; a person has to look.
    Contradicts(&'static str),
}

/// What `happening` means for an order.
pub(super) fn meaning(facts: Facts, happening: Happening) -> Meaning {
    match happening {
        Happening::Captured(payment) => captured(facts, payment),
        Happening::Failed(payment) => failed(facts, payment),
        Happening::Refunded(payment, so_far) => refunded(facts, payment, so_far),
        Happening::StockSecured if Step::of(facts.state) == Step::SecuringStock => Meaning::Moves(Change::Confirm),
        Happening::OutOfStock if Step::of(facts.state) == Step::SecuringStock => {
            Meaning::Moves(Change::Cancel(CancelReason::OutOfStock))
        }
        Happening::TimedOut if Step::of(facts.state) == Step::AwaitingPayment => {
            Meaning::Moves(Change::Cancel(CancelReason::PaymentTimeout))
        }
        Happening::StockSecured | Happening::OutOfStock | Happening::TimedOut => Meaning::Known,
    }
}

fn captured(facts: Facts, payment: PaymentId) -> Meaning {
    match (facts.paid_by, facts.state.order) {
        (Some(known), _) if known == payment => Meaning::Known,
        (Some(_), _) => {
            Meaning::Contradicts("was captured although another payment had paid the order before: it was paid twice")
        }
        (None, OrderStatus::Pending) => Meaning::Moves(Change::Pay(payment)),
        (None, OrderStatus::Canceled) => Meaning::Moves(Change::CaptureLate(payment)),
        (None, OrderStatus::Confirmed | OrderStatus::Completed) => {
            Meaning::Contradicts("was captured for an order that was settled without it")
        }
    }
}

fn failed(facts: Facts, payment: PaymentId) -> Meaning {
    match (facts.paid_by, Step::of(facts.state)) {
        (Some(known), _) if known == payment => Meaning::Contradicts("is said to have failed after it was captured"),
        (None, Step::AwaitingPayment) => Meaning::Moves(Change::Cancel(CancelReason::PaymentFailed)),
        // Canceled before, or paid by another attempt: that no money came from this one changes nothing.
        _ => Meaning::Known,
    }
}

/// `so_far` is all that is known to have gone back of `payment`, this time included.
fn refunded(facts: Facts, payment: PaymentId, so_far: i64) -> Meaning {
    match facts.paid_by {
        None => Meaning::Early,
        Some(known) if known != payment => {
            Meaning::Contradicts("was refunded; another payment paid the order, so it stays paid")
        }
        Some(_) if so_far > facts.total => Meaning::Contradicts("was refunded by more than was left of it"),
        Some(_) if so_far <= facts.refunded => Meaning::Known,
        Some(_) if so_far == facts.total => Meaning::Moves(Change::RefundAll),
        Some(_) => Meaning::Moves(Change::RefundSome(so_far)),
    }
}

/// The order of an event, held until the transaction ends.
pub(super) async fn locked(tx: &mut Tx, id: OrderId) -> Result<OrderRow, Failure> {
    let order = OrderRow::lock(tx, id).await?;
    order.ok_or_else(|| no_order(id))
}

/// An event about an order that there is not.
pub(super) fn no_order(id: OrderId) -> Failure {
    Failure::Dead(format!("there is no order {id}"))
}

/// What `happening` means for an order that this transaction has locked, and the order afterwards; what follows from it is
/// added to `changes`.
pub(super) fn hear(
    changes: &mut Changes,
    order: OrderRow,
    happening: Happening,
    why: &str,
) -> Result<(Meaning, OrderRow), Illegal> {
    let meaning = meaning(Facts::of(&order), happening);
    let payment = happening.payment();
    let payment = || payment.map(|id| id.to_string()).unwrap_or_default();
    let after = match meaning {
        Meaning::Moves(late @ Change::CaptureLate(id)) => {
            tracing::warn!(order_id = %order.id, payment_id = %id, "paid after it was canceled; a refund is due");
            let why = format!("The payment {id} was captured after the order had been canceled. A refund is due.");
            changes.change(&order, late, By::System, &why)?
        }
        Meaning::Moves(next) => changes.change(&order, next, By::System, why)?,
        Meaning::Known | Meaning::Early => {
            tracing::info!(order_id = %order.id, ?happening, ?meaning, status = %order.status, "nothing moves");
            order
        }
        Meaning::Contradicts(what) => {
            let payment = payment();
            tracing::error!(order_id = %order.id, payment, status = %order.status, "the payment {what}");
            let (change, why) = (OrderChange::PaymentContradicted, format!("The payment {payment} {what}."));
            changes.note(NewEntry::of(order.id, change, order.state(), By::System, why));
            order
        }
    };
    Ok((meaning, after))
}

#[cfg(test)]
mod tests;
