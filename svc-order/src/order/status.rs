//! The three states of an order, and how they may move.
//!
//! `State::after` is the only way from one state to another. A change that is not possible is an error; whoever learns of
//! something that no longer fits (a late payment) decides first what it means (`saga`).
//!
//! The trap: the CHECK constraints of the table `orders` say the same once more. Change both.

use std::fmt;

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use nats::{
    contracts::order::CancelReason,
    types::{Invalid, PaymentId},
};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

/// A closed set of names, the same in JSON, parameters and SQL.
macro_rules! names {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Enum, AsExpression, FromSqlRow)]
        #[serde(rename_all = "snake_case")]
        #[oai(rename_all = "snake_case")]
        #[diesel(sql_type = sql_types::Text)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(match self { $(Self::$variant => $text,)+ })
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(Invalid::quoting(text, concat!("is not ", $what))),
                }
            }
        }

        nats::text_column!($name);
    };
}
pub(crate) use names;

names! {
    /// How far an order is as a whole.
    OrderStatus, "the status of an order" {
        /// Accepted; it waits for its payment.
        Pending = "pending",
        /// Paid; it will be fulfilled.
        Confirmed = "confirmed",
        /// Everything it promised was done.
        Completed = "completed",
        /// It will not be fulfilled.
        Canceled = "canceled",
    }
}

names! {
    /// How far the payment of an order is.
    PaymentStatus, "the payment status of an order" {
        /// Nothing is known of it yet.
        Awaiting = "awaiting",
        /// The money is held for us.
        Authorized = "authorized",
        /// The money is ours.
        Captured = "captured",
        /// Some of it went back.
        PartiallyRefunded = "partially_refunded",
        /// All of it went back.
        Refunded = "refunded",
        /// It was declined.
        Failed = "failed",
        /// It is not wanted any more.
        Canceled = "canceled",
    }
}

names! {
    /// How far the goods of an order are.
    FulfillmentStatus, "the fulfilment status of an order" {
        /// Nothing was packed yet.
        NotFulfilled = "not_fulfilled",
        /// Some of it is packed.
        PartiallyFulfilled = "partially_fulfilled",
        /// All of it is packed.
        Fulfilled = "fulfilled",
        /// It was handed to the carrier.
        Shipped = "shipped",
        /// The customer has it.
        Delivered = "delivered",
        /// It will not be packed.
        Canceled = "canceled",
    }
}

/// The three states together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) order: OrderStatus,
    pub(crate) payment: PaymentStatus,
    pub(crate) fulfillment: FulfillmentStatus,
}

/// Something that happens to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Its payment arrived.
    Confirm(PaymentId),
    /// It is given up, for this reason.
    Cancel(CancelReason),
    /// Its payment arrived after it had been given up: the money is ours and has to go back.
    CaptureLate(PaymentId),
}

/// A change that is not possible in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Illegal {
    pub(crate) state: State,
    pub(crate) change: Change,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state: State { order, payment, fulfillment }, change } = self;
        let state = format!("is {order}, its payment {payment}, its fulfilment {fulfillment}");
        write!(f, "{change:?} is not possible for an order that {state}")
    }
}

impl std::error::Error for Illegal {}

impl State {
    /// The states of an order that was just placed.
    pub(crate) const PLACED: Self = Self {
        order: OrderStatus::Pending,
        payment: PaymentStatus::Awaiting,
        fulfillment: FulfillmentStatus::NotFulfilled,
    };

    /// The state after `change`.
    ///
    /// # Errors
    /// When the change is not possible in this state; nothing moves then.
    pub(crate) fn after(self, change: Change) -> Result<Self, Illegal> {
        use FulfillmentStatus as F;
        use OrderStatus as O;
        use PaymentStatus as P;
        let (order, payment, fulfillment) = match (self.order, self.payment, change) {
            (O::Pending, P::Awaiting | P::Authorized, Change::Confirm(_)) => {
                (O::Confirmed, P::Captured, self.fulfillment)
            }
            (O::Pending, P::Awaiting | P::Authorized, Change::Cancel(reason)) => {
                let payment = if reason == CancelReason::PaymentFailed { P::Failed } else { P::Canceled };
                (O::Canceled, payment, F::Canceled)
            }
            (O::Canceled, P::Failed | P::Canceled, Change::CaptureLate(_)) => (O::Canceled, P::Captured, F::Canceled),
            _ => return Err(Illegal { state: self, change }),
        };
        Ok(Self { order, payment, fulfillment })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_change() -> impl Strategy<Value = Change> {
        let payment = || PaymentId::new();
        prop_oneof![
            Just(()).prop_map(move |()| Change::Confirm(payment())),
            Just(()).prop_map(move |()| Change::CaptureLate(payment())),
            Just(Change::Cancel(CancelReason::PaymentFailed)),
            Just(Change::Cancel(CancelReason::PaymentTimeout)),
            Just(Change::Cancel(CancelReason::Customer)),
            Just(Change::Cancel(CancelReason::Staff)),
        ]
    }

    /// What the CHECK constraints of the table say.
    fn is_consistent(state: State) -> bool {
        use PaymentStatus as P;
        let paid = matches!(state.payment, P::Captured | P::PartiallyRefunded | P::Refunded);
        let canceled = state.fulfillment == FulfillmentStatus::Canceled;
        match state.order {
            OrderStatus::Pending => matches!(state.payment, P::Awaiting | P::Authorized) && !canceled,
            OrderStatus::Confirmed | OrderStatus::Completed => paid && !canceled,
            OrderStatus::Canceled => !matches!(state.payment, P::Awaiting | P::Authorized) && canceled,
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
                        prop_assert_ne!(after, before, "a change that changes nothing: {:?}", change);
                        state = after;
                    }
                    Err(illegal) => prop_assert_eq!(illegal, Illegal { state: before, change }),
                }
                prop_assert!(is_consistent(state), "{:?} after {:?}", state, change);
                let settled = |order| matches!(order, OrderStatus::Confirmed | OrderStatus::Canceled);
                prop_assert!(!settled(before.order) || state.order == before.order, "{:?} left {:?}", change, before);
                prop_assert!(before.payment != PaymentStatus::Captured || state.payment == PaymentStatus::Captured);
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

    #[test]
    fn an_illegal_change_is_a_sentence() {
        let payment = PaymentId::new();
        let confirmed = State::PLACED.after(Change::Confirm(payment)).unwrap();
        let refused = confirmed.after(Change::Cancel(CancelReason::Customer)).unwrap_err();
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
}
