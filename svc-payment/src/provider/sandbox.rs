//! The built-in provider: takes no real money, and behaves as badly as real ones do.
//!
//! | method | what happens |
//! |---|---|
//! | `sandbox_ok` | charged |
//! | `sandbox_declined` | declined |
//! | `sandbox_insufficient_funds` | declined, for lack of funds |
//! | `sandbox_timeout_then_ok` | charged, then the answer is lost; a refund likewise |
//! | `sandbox_slow` | charged; the answer takes 1.5 seconds; a refund likewise |
//! | `sandbox_refund_declined` | charged; a refund is declined |
//! | any other | declined: the method is unknown |
//!
//! Its memory are the tables `sandbox_charge` and `sandbox_refund`, which stand for the provider's side: it has
//! transactions of its own, so what it did stays done whatever becomes of ours.

mod refund;

use std::time::Duration;

use diesel::{Insertable, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper, insert_into, pg::Pg};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::payment::DeclineReason,
    database::Database,
    types::{Currency, Money, PaymentId},
};

use super::{Outcome, Unknown};
use crate::schema::sandbox_charge;

const SLOW: Duration = Duration::from_millis(1_500);
const SUCCEEDED: &str = "succeeded";
const DECLINED: &str = "declined";
const VOIDED: &str = "voided";

/// The sandbox.
#[derive(Clone)]
pub(crate) struct Sandbox {
    database: Database,
}

/// A row of `sandbox_charge`.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = sandbox_charge, check_for_backend(Pg))]
struct Charge {
    idempotency_key: String,
    amount: i64,
    currency: Currency,
    method: String,
    outcome: String,
    reference: Option<String>,
    decline_reason: Option<DeclineReason>,
}

impl Sandbox {
    /// A sandbox that remembers in this database.
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    /// See [`super::Provider::capture`].
    pub(crate) async fn capture(&self, key: &str, amount: Money, method: &str) -> Result<Outcome, Unknown> {
        let charge = Charge::decide(key, amount, method);
        let mut connection = self.database.connection().await?;
        let fresh = insert_into(sandbox_charge::table)
            .values(&charge)
            .on_conflict_do_nothing()
            .execute(&mut connection)
            .await?;
        drop(connection);
        if fresh == 0 {
            return self.repeated(&charge).await;
        }
        behave(method).await;
        charge.answer()
    }

    /// See [`super::Provider::lookup`].
    pub(crate) async fn lookup(&self, key: &str) -> Result<Option<Outcome>, Unknown> {
        self.remembered(key).await?.map(Charge::answer).transpose()
    }

    /// See [`super::Provider::void`].
    pub(crate) async fn void(&self, key: &str, amount: Money, method: &str) -> Result<Outcome, Unknown> {
        let void = Charge {
            outcome: VOIDED.to_owned(),
            reference: None,
            decline_reason: None,
            ..Charge::decide(key, amount, method)
        };
        let mut connection = self.database.connection().await?;
        let fresh =
            insert_into(sandbox_charge::table).values(&void).on_conflict_do_nothing().execute(&mut connection).await?;
        drop(connection);
        if fresh == 0 { self.repeated(&void).await } else { void.answer() }
    }

    /// The first answer again; the same key for something else is refused, as real providers do.
    async fn repeated(&self, asked: &Charge) -> Result<Outcome, Unknown> {
        match self.remembered(&asked.idempotency_key).await? {
            Some(first)
                if (first.amount, first.currency, &first.method) == (asked.amount, asked.currency, &asked.method) =>
            {
                first.answer()
            }
            _ => Err(Unknown("the key was used before for another charge".to_owned())),
        }
    }

    async fn remembered(&self, key: &str) -> Result<Option<Charge>, Unknown> {
        let mut connection = self.database.connection().await?;
        let charge = sandbox_charge::table.find(key).select(Charge::as_select()).first(&mut connection).await;
        Ok(charge.optional()?)
    }
}

/// As badly as the method says, once the deed is done.
async fn behave(method: &str) {
    match method {
        "sandbox_timeout_then_ok" => std::future::pending().await,
        "sandbox_slow" => tokio::time::sleep(SLOW).await,
        _ => {}
    }
}

impl Charge {
    fn decide(key: &str, amount: Money, method: &str) -> Self {
        let declined = match method {
            "sandbox_ok" | "sandbox_slow" | "sandbox_timeout_then_ok" | "sandbox_refund_declined" => None,
            "sandbox_declined" => Some(DeclineReason::Declined),
            "sandbox_insufficient_funds" => Some(DeclineReason::InsufficientFunds),
            _ => Some(DeclineReason::UnknownPaymentMethod),
        };
        Self {
            idempotency_key: key.to_owned(),
            amount: amount.amount,
            currency: amount.currency,
            method: method.to_owned(),
            outcome: if declined.is_none() { SUCCEEDED } else { DECLINED }.to_owned(),
            // Any unique name does; a TypeID without its prefix is one.
            reference: declined.is_none().then(|| format!("sandbox_{}", PaymentId::new().uuid().simple())),
            decline_reason: declined,
        }
    }

    fn answer(self) -> Result<Outcome, Unknown> {
        match (self.outcome.as_str(), self.reference, self.decline_reason) {
            (SUCCEEDED, Some(reference), None) => Ok(Outcome::Succeeded { reference }),
            (DECLINED, None, Some(reason)) => Ok(Outcome::Declined { reason }),
            (VOIDED, None, None) => Ok(Outcome::Voided),
            _ => Err(Unknown("the sandbox remembers half a charge".to_owned())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_its_outcome() {
        for (method, declined) in [
            ("sandbox_ok", None),
            ("sandbox_slow", None),
            ("sandbox_timeout_then_ok", None),
            ("sandbox_refund_declined", None),
            ("sandbox_declined", Some(DeclineReason::Declined)),
            ("sandbox_insufficient_funds", Some(DeclineReason::InsufficientFunds)),
            ("", Some(DeclineReason::UnknownPaymentMethod)),
            ("SANDBOX_OK", Some(DeclineReason::UnknownPaymentMethod)),
            ("visa_4242", Some(DeclineReason::UnknownPaymentMethod)),
        ] {
            let outcome = Charge::decide("key", Money::new(1299, Currency::EUR), method).answer().unwrap();
            match declined {
                None => assert!(matches!(outcome, Outcome::Succeeded { .. }), "{method}: {outcome:?}"),
                Some(reason) => assert_eq!(outcome, Outcome::Declined { reason }, "{method}"),
            }
        }
    }
}
