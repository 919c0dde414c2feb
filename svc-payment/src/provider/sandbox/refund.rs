//! The sandbox's refunds: never more of a charge than was taken.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper, insert_into,
    pg::Pg, sql_query, sql_types,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::types::RefundId;

use super::{Charge, DECLINED, SUCCEEDED, Sandbox, behave};
use crate::{
    provider::{RefundOutcome, Unknown},
    schema::{sandbox_charge, sandbox_refund},
};

/// A row of `sandbox_refund`.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = sandbox_refund, check_for_backend(Pg))]
struct Refund {
    idempotency_key: String,
    charge_reference: String,
    amount: i64,
    outcome: String,
    reference: Option<String>,
    reason: Option<String>,
}

#[derive(diesel::QueryableByName)]
struct Taken {
    #[diesel(sql_type = sql_types::BigInt)]
    given_back: i64,
}

impl Sandbox {
    /// See [`crate::provider::Provider::refund`].
    pub(crate) async fn refund(&self, key: &str, charge: &str, amount: i64) -> Result<RefundOutcome, Unknown> {
        let mut tx = self.database.begin().await?;
        // The charge's row lets one refund of it be decided at a time.
        let charged: Option<Charge> = sandbox_charge::table
            .filter(sandbox_charge::reference.eq(charge))
            .select(Charge::as_select())
            .for_update()
            .first(&mut tx)
            .await
            .optional()?;
        if let Some(first) = remembered(&mut tx, key).await? {
            tx.roll_back().await?;
            if (first.charge_reference.as_str(), first.amount) != (charge, amount) {
                return Err(Unknown("the key was used before for another refund".to_owned()));
            }
            return first.answer();
        }
        let given_back = given_back(&mut tx, charge).await?;
        let refusal =
            charged.as_ref().map_or(Some("there is no such charge"), |charged| refusal(charged, given_back, amount));
        let refund = Refund {
            idempotency_key: key.to_owned(),
            charge_reference: charge.to_owned(),
            amount,
            outcome: if refusal.is_none() { SUCCEEDED } else { DECLINED }.to_owned(),
            reference: refusal.is_none().then(|| format!("sandbox_{}", RefundId::new().uuid().simple())),
            reason: refusal.map(str::to_owned),
        };
        insert_into(sandbox_refund::table).values(&refund).execute(&mut tx).await?;
        tx.commit().await?;
        if let Some(charged) = charged {
            behave(&charged.method).await;
        }
        refund.answer()
    }

    /// See [`crate::provider::Provider::lookup_refund`].
    pub(crate) async fn lookup_refund(&self, key: &str) -> Result<Option<RefundOutcome>, Unknown> {
        let mut connection = self.database.connection().await?;
        remembered(&mut connection, key).await?.map(Refund::answer).transpose()
    }
}

fn refusal(charged: &Charge, given_back: i64, amount: i64) -> Option<&'static str> {
    if charged.method == "sandbox_refund_declined" {
        return Some("the issuer declined the refund");
    }
    let fits = given_back.checked_add(amount).is_some_and(|total| amount >= 0 && total <= charged.amount);
    (!fits).then_some("it is more than what was charged")
}

async fn remembered(connection: &mut AsyncPgConnection, key: &str) -> Result<Option<Refund>, Unknown> {
    let refund = sandbox_refund::table.find(key).select(Refund::as_select()).first(connection).await;
    Ok(refund.optional()?)
}

/// What of a charge went back already, in minor units.
async fn given_back(connection: &mut AsyncPgConnection, charge: &str) -> Result<i64, Unknown> {
    let taken: Taken = sql_query(
        "select coalesce(sum(amount), 0)::bigint as given_back from sandbox_refund
         where charge_reference = $1 and outcome = 'succeeded'",
    )
    .bind::<sql_types::Text, _>(charge)
    .get_result(connection)
    .await?;
    Ok(taken.given_back)
}

impl Refund {
    fn answer(self) -> Result<RefundOutcome, Unknown> {
        match (self.reference, self.reason) {
            (Some(reference), None) => Ok(RefundOutcome::Succeeded { reference }),
            (None, Some(reason)) => Ok(RefundOutcome::Declined { reason }),
            _ => Err(Unknown("the sandbox remembers half a refund".to_owned())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use nats::types::{Currency, Money};

    use super::*;

    #[test]
    fn no_more_goes_back_than_was_taken() {
        let charged = |method| Charge::decide("key", Money::new(1299, Currency::EUR), method);
        for (given_back, amount, fits) in [
            (0, 1299, true),
            (0, 0, true),
            (1298, 1, true),
            (0, 1300, false),
            (1299, 1, false),
            (1299, i64::MAX, false),
            (1299, -1, false),
        ] {
            assert_eq!(refusal(&charged("sandbox_ok"), given_back, amount).is_none(), fits, "{given_back} + {amount}");
        }
        assert!(refusal(&charged("sandbox_refund_declined"), 0, 1).is_some());
    }
}
