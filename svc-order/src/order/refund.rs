//! Refunds: what of an order's money went back, as svc-payment tells it.
//!
//! The order keeps the sum, so that refunds in parts are seen to come to the whole. What becomes of the order itself is
//! not decided here: a confirmed order whose money went back is still confirmed, a canceled one still canceled.
//!
//! The trap: captures and refunds come through two consumers, so a refund may be here first. It is then tried again, and
//! not taken for one of an order that nobody paid.

use nats::{
    consume::{Failure, Received},
    contracts::payment::PaymentRefunded,
    database::Tx,
    types::PaymentId,
};

use super::{
    saga::{Meaning, locked, settle},
    status::Change,
};
use crate::Orders;

/// The money of an order, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Paid {
    /// The payment that it came from.
    by: PaymentId,
    total: i64,
    /// What of it went back before.
    refunded: i64,
}

/// So much of `payment` went back.
fn refunded(paid: Paid, payment: PaymentId, amount: i64) -> Meaning {
    if paid.by != payment {
        return Meaning::Contradicts("was refunded; another payment paid the order, so it stays paid");
    }
    if paid.refunded == paid.total {
        return Meaning::Known;
    }
    let so_far = paid.refunded.saturating_add(amount);
    match so_far.cmp(&paid.total) {
        std::cmp::Ordering::Less => Meaning::Moves(Change::RefundSome(so_far)),
        std::cmp::Ordering::Equal => Meaning::Moves(Change::RefundAll),
        std::cmp::Ordering::Greater => Meaning::Contradicts("was refunded by more than was left of it"),
    }
}

/// `payment.refunded`: the order remembers that its money, or some of it, went back.
pub(crate) async fn note_refund(tx: &mut Tx, _: Orders, received: Received<PaymentRefunded>) -> Result<(), Failure> {
    let PaymentRefunded { payment_id, order_id, amount } = received.event;
    let order = locked(tx, order_id).await?;
    let total = order.money(order.total);
    if amount.currency != order.currency || amount.amount <= 0 {
        return Err(Failure::Dead(format!("{payment_id} refunded {amount} of an order of {total}")));
    }
    let Some(by) = order.payment_id else {
        return Err(Failure::Failed(format!("{payment_id} was refunded, but its capture is not known yet")));
    };
    let paid = Paid { by, total: order.total, refunded: order.refunded };
    let meaning = refunded(paid, payment_id, amount.amount);
    let why = match meaning {
        Meaning::Moves(Change::RefundSome(so_far)) => {
            format!("{amount} went back to the customer: {} of {total} in all.", order.money(so_far))
        }
        _ => format!("{amount} went back to the customer: nothing of {total} is left."),
    };
    settle(tx, &order, payment_id, meaning, &why).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use nats::contracts::order::CancelReason;
    use proptest::prelude::*;

    use super::*;
    use crate::order::status::{PaymentStatus, State};

    proptest! {
        /// In whatever parts: the state always allows it, the status says how much went back, and never more than came.
        #[test]
        fn parts_come_to_the_whole(total in 1_i64..1000, parts in prop::collection::vec(1_i64..1000, 0..12), canceled: bool) {
            let by = PaymentId::new();
            let changes = match canceled {
                false => vec![Change::Confirm(by)],
                true => vec![Change::Cancel(CancelReason::Customer), Change::CaptureLate(by)],
            };
            let mut state = changes.into_iter().fold(State::PLACED, |state, change| state.after(change).unwrap());
            let order = state.order;
            let mut paid = Paid { by, total, refunded: 0 };
            for part in parts {
                match refunded(paid, by, part) {
                    Meaning::Moves(change) => {
                        state = state.after(change).unwrap();
                        paid.refunded += part;
                    }
                    Meaning::Known => prop_assert_eq!(state.payment, PaymentStatus::Refunded),
                    Meaning::Contradicts(_) => prop_assert!(paid.refunded + part > total),
                }
                let expected = match paid.refunded {
                    0 => PaymentStatus::Captured,
                    all if all == total => PaymentStatus::Refunded,
                    _ => PaymentStatus::PartiallyRefunded,
                };
                prop_assert_eq!((state.payment, state.order), (expected, order));
            }
        }
    }

    #[test]
    fn the_same_fact_again_is_nothing_new() {
        let by = PaymentId::new();
        let paid = Paid { by, total: 100, refunded: 0 };
        assert_eq!(refunded(paid, by, 100), Meaning::Moves(Change::RefundAll));
        assert_eq!(refunded(Paid { refunded: 100, ..paid }, by, 100), Meaning::Known);
        assert!(matches!(refunded(paid, PaymentId::new(), 100), Meaning::Contradicts(_)), "not this order's money");
    }
}
