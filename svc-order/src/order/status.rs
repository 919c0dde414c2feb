//! The three states of an order, and how they may move.
//!
//! `State::after` is the only way from one state to another. A change that is not possible is an error; whoever learns of
//! something that no longer fits (a late payment) decides first what it means (`saga`).
//!
//! The trap: the CHECK constraints of the table `orders` say the same once more. Change both.

use std::fmt;

use nats::{contracts::order::CancelReason, types::PaymentId};

/// A closed set of names, the same in JSON, parameters and SQL.
macro_rules! names {
    ($(#[$meta:meta])* $vis:vis $name:ident, $what:literal { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize, ::poem_openapi::Enum,
            ::diesel::expression::AsExpression, ::diesel::deserialize::FromSqlRow,
        )]
        #[serde(rename_all = "snake_case")]
        #[oai(rename_all = "snake_case")]
        #[diesel(sql_type = ::diesel::sql_types::Text)]
        $vis enum $name { $($(#[$doc])* $variant,)+ }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(match self { $(Self::$variant => $text,)+ })
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::nats::types::Invalid;

            fn from_str(text: &str) -> Result<Self, ::nats::types::Invalid> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(::nats::types::Invalid::quoting(text, concat!("is not ", $what))),
                }
            }
        }

        nats::text_column!($name);
    };
}
pub(crate) use names;

names! {
    /// How far an order is as a whole.
    pub OrderStatus, "the status of an order" {
        /// Accepted; it waits for its payment, or for its paid goods to be secured.
        Pending = "pending",
        /// Paid, and its goods are the customer's; it will be fulfilled.
        Confirmed = "confirmed",
        /// Everything it promised was done.
        Completed = "completed",
        /// It will not be fulfilled.
        Canceled = "canceled",
    }
}

names! {
    /// How far the payment of an order is.
    pub PaymentStatus, "the payment status of an order" {
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

impl PaymentStatus {
    /// Whether money was captured, whatever of it went back.
    pub(crate) const fn has_money(self) -> bool {
        matches!(self, Self::Captured | Self::PartiallyRefunded | Self::Refunded)
    }
}

names! {
    /// How far the goods of an order are.
    pub FulfillmentStatus, "the fulfilment status of an order" {
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
    /// Its payment arrived; its goods are to be secured.
    Pay(PaymentId),
    /// Its goods are the customer's.
    Confirm,
    /// It is given up, for this reason. Once it is paid, only for want of goods; the money then has to go back.
    Cancel(CancelReason),
    /// Its payment arrived after it had been given up: the money is ours and has to go back.
    CaptureLate(PaymentId),
    /// Some of its money went back: so much in all, in minor units.
    RefundSome(i64),
    /// The rest of its money, or all of it at once, went back.
    RefundAll,
    /// Everything it promised was done.
    Complete,
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
            (O::Pending, P::Awaiting | P::Authorized, Change::Pay(_)) => (O::Pending, P::Captured, self.fulfillment),
            (O::Pending, paid, Change::Confirm) if paid.has_money() => (O::Confirmed, paid, self.fulfillment),
            (O::Pending, paid, Change::Cancel(CancelReason::OutOfStock)) if paid.has_money() => {
                (O::Canceled, paid, F::Canceled)
            }
            (O::Pending, P::Awaiting | P::Authorized, Change::Cancel(reason)) if reason != CancelReason::OutOfStock => {
                let payment = if reason == CancelReason::PaymentFailed { P::Failed } else { P::Canceled };
                (O::Canceled, payment, F::Canceled)
            }
            (O::Canceled, P::Failed | P::Canceled, Change::CaptureLate(_)) => (O::Canceled, P::Captured, F::Canceled),
            // Whatever became of the order: the money is one thing, the goods are another.
            (order, P::Captured | P::PartiallyRefunded, Change::RefundSome(_)) => {
                (order, P::PartiallyRefunded, self.fulfillment)
            }
            (order, P::Captured | P::PartiallyRefunded, Change::RefundAll) => (order, P::Refunded, self.fulfillment),
            // Shipping is not told yet: what is completed counts as packed.
            (O::Confirmed, P::Captured, Change::Complete) => (O::Completed, P::Captured, F::Fulfilled),
            _ => return Err(Illegal { state: self, change }),
        };
        Ok(Self { order, payment, fulfillment })
    }
}

#[cfg(test)]
mod tests;
