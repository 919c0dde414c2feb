#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn any_change() -> impl Strategy<Value = Change> {
    let payment = || PaymentId::new();
    prop_oneof![
        Just(()).prop_map(move |()| Change::Pay(payment())),
        Just(Change::Confirm),
        Just(Change::Cancel(CancelReason::OutOfStock)),
        Just(()).prop_map(move |()| Change::CaptureLate(payment())),
        Just(Change::Cancel(CancelReason::PaymentFailed)),
        Just(Change::Cancel(CancelReason::PaymentTimeout)),
        Just(Change::Cancel(CancelReason::Customer)),
        Just(Change::Cancel(CancelReason::Staff)),
        (1_i64..1000).prop_map(Change::RefundSome),
        Just(Change::RefundAll),
        Just(Change::Complete),
    ]
}

/// What the CHECK constraints of the table say.
fn is_consistent(state: State) -> bool {
    use PaymentStatus as P;
    let paid = state.payment.has_money();
    let canceled = state.fulfillment == FulfillmentStatus::Canceled;
    match state.order {
        OrderStatus::Pending => !matches!(state.payment, P::Failed | P::Canceled) && !canceled,
        OrderStatus::Confirmed | OrderStatus::Completed => paid && !canceled,
        OrderStatus::Canceled => !matches!(state.payment, P::Awaiting | P::Authorized) && canceled,
    }
}

/// An order goes on, never back.
fn how_far(order: OrderStatus) -> u8 {
    match order {
        OrderStatus::Pending => 0,
        OrderStatus::Confirmed => 1,
        OrderStatus::Completed | OrderStatus::Canceled => 2,
    }
}

/// Money that came stays, or goes back; it is not forgotten, and does not come again.
fn repaid(payment: PaymentStatus) -> u8 {
    match payment {
        PaymentStatus::Captured => 1,
        PaymentStatus::PartiallyRefunded => 2,
        PaymentStatus::Refunded => 3,
        _ => 0,
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_states_fit_together(changes in prop::collection::vec(any_change(), 0..12)) {
        let mut state = State::PLACED;
        for change in changes {
            let before = state;
            match before.after(change) {
                Ok(after) => {
                    // One refund after the other moves the sum alone.
                    let same = matches!(change, Change::RefundSome(_));
                    prop_assert!(same || after != before, "a change that changes nothing: {:?}", change);
                    state = after;
                }
                Err(illegal) => prop_assert_eq!(illegal, Illegal { state: before, change }),
            }
            prop_assert!(is_consistent(state), "{:?} after {:?}", state, change);
            prop_assert!(how_far(state.order) >= how_far(before.order), "{:?} went back from {:?}", change, before);
            let ended = matches!(before.order, OrderStatus::Completed | OrderStatus::Canceled);
            prop_assert!(!ended || state.order == before.order, "{:?} left {:?}", change, before);
            prop_assert!(repaid(state.payment) >= repaid(before.payment), "{:?} took {:?} back", change, before);
        }
    }
}

#[test]
fn a_decline_is_told_from_a_cancellation() {
    let after = |reason| State::PLACED.after(Change::Cancel(reason)).unwrap().payment;
    assert_eq!(after(CancelReason::PaymentFailed), PaymentStatus::Failed);
    assert_eq!(after(CancelReason::PaymentTimeout), PaymentStatus::Canceled);
    assert_eq!(after(CancelReason::Customer), PaymentStatus::Canceled);
}

/// An order that is paid and has its goods.
fn confirmed() -> State {
    State::PLACED.after(Change::Pay(PaymentId::new())).unwrap().after(Change::Confirm).unwrap()
}

#[test]
fn goods_are_secured_or_missed_once_the_money_is_there() {
    let out_of_stock = Change::Cancel(CancelReason::OutOfStock);
    assert!(State::PLACED.after(Change::Confirm).is_err() && State::PLACED.after(out_of_stock).is_err());
    let paid = State::PLACED.after(Change::Pay(PaymentId::new())).unwrap();
    assert_eq!((paid.order, paid.payment), (OrderStatus::Pending, PaymentStatus::Captured));
    let missed = paid.after(out_of_stock).unwrap();
    assert_eq!(
        (missed.order, missed.payment),
        (OrderStatus::Canceled, PaymentStatus::Captured),
        "the money is still ours"
    );
    for reason in [CancelReason::Customer, CancelReason::PaymentTimeout, CancelReason::PaymentFailed] {
        assert!(paid.after(Change::Cancel(reason)).is_err(), "{reason:?} gave up a paid order");
    }
}

#[test]
fn only_a_paid_order_is_completed_and_only_money_that_came_goes_back() {
    let confirmed = confirmed();
    let completed = confirmed.after(Change::Complete).unwrap();
    assert_eq!((completed.order, completed.fulfillment), (OrderStatus::Completed, FulfillmentStatus::Fulfilled));
    let canceled = State::PLACED.after(Change::Cancel(CancelReason::Customer)).unwrap();
    let late = canceled.after(Change::CaptureLate(PaymentId::new())).unwrap();
    for paid in [confirmed, completed, late] {
        let some = paid.after(Change::RefundSome(1)).unwrap();
        assert_eq!(some, State { payment: PaymentStatus::PartiallyRefunded, ..paid });
        let all = State { payment: PaymentStatus::Refunded, ..paid };
        assert_eq!((paid.after(Change::RefundAll), some.after(Change::RefundAll)), (Ok(all), Ok(all)));
        assert!(all.after(Change::RefundAll).is_err() && all.after(Change::RefundSome(1)).is_err());
        assert!(some.after(Change::Complete).is_err() && all.after(Change::Complete).is_err());
    }
    for unpaid in [State::PLACED, canceled] {
        assert!(unpaid.after(Change::RefundAll).is_err() && unpaid.after(Change::Complete).is_err());
    }
}

#[test]
fn an_illegal_change_is_a_sentence() {
    let refused = confirmed().after(Change::Cancel(CancelReason::Customer)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Cancel(Customer) is not possible for an order that is confirmed, its payment captured, its fulfilment not_fulfilled"
    );
}

#[test]
fn names_are_the_same_everywhere() {
    for status in [FulfillmentStatus::NotFulfilled, FulfillmentStatus::PartiallyFulfilled] {
        assert_eq!(serde_json::to_value(status).unwrap(), status.to_string());
        assert_eq!(status.to_string().parse(), Ok(status));
    }
    assert!("Pending".parse::<OrderStatus>().is_err());
}
