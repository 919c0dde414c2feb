//! Orders for a company: who may place them, on what terms, and who sees them.
//!
//! svc-user knows what somebody may do in a company, and is asked each time. What it says of the company as a buyer becomes
//! the order's own.
//!
//! The trap: whoever orders for themselves waits for none of this. Only a request that names a company asks.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable, deserialize::FromSqlRow,
    expression::AsExpression, pg::Pg, sql_types,
};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        order::OrderCompany,
        user::{
            Unknown,
            company::{CompanyBuyer, CompanyMembership, GetCompanyMembership},
        },
    },
    identity::{OrdersRead, OwnerOr},
    invoke::CallError,
    problem::{Code, Problem},
    types::{CompanyId, CompanyRole, Currency, Money, OrderId, Text, UserId},
};
use serde::{Deserialize, Serialize};

use super::{request::PlaceOrder, resource::Order};
use crate::{Orders, schema::order_company};

/// The number of an order in the company's own books.
pub(crate) type PurchaseOrderNumber = Text<1, 64>;

/// A row of `order_company`.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = order_company, check_for_backend(Pg))]
pub(crate) struct CompanyRow {
    pub(crate) order_id: OrderId,
    pub(crate) company_id: CompanyId,
    pub(crate) purchase_order_number: Option<PurchaseOrderNumber>,
    pub(crate) buyer: Buyer,
}

/// A [`CompanyBuyer`] as a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[serde(transparent)]
#[diesel(sql_type = sql_types::Jsonb)]
pub(crate) struct Buyer(pub(crate) CompanyBuyer);

nats::jsonb_column!(Buyer);

impl From<CompanyRow> for OrderCompany {
    fn from(row: CompanyRow) -> Self {
        let purchase_order_number = row.purchase_order_number.map(Text::into_string);
        Self { company_id: row.company_id, purchase_order_number, buyer: row.buyer.0 }
    }
}

/// A company that is about to order.
#[derive(Debug)]
pub(crate) struct Purchase {
    membership: CompanyMembership,
    number: Option<PurchaseOrderNumber>,
}

impl Purchase {
    /// The company that the request names, if it names one: when `user` may order for it, and it may order itself.
    ///
    /// # Errors
    /// `invalid_request`, `forbidden` or `conflict`.
    pub(crate) async fn of(service: &Orders, user: UserId, request: &PlaceOrder) -> Result<Option<Self>, Problem> {
        let number = request.purchase_order_number.clone();
        let Some(company_id) = request.company_id else {
            let out_of_place =
                || Problem::invalid("/purchase_order_number", "only a company's order has such a number");
            return number.map_or(Ok(None), |_| Err(out_of_place()));
        };
        let unknown = |Unknown::Unknown| Problem::invalid("/company_id", "you are in no company that has this id");
        let membership = membership(service, company_id, user).await.map_err(|error| error.problem(unknown))?;
        let purchase = Self { membership, number };
        purchase.is_possible(request.currency)?;
        Ok(Some(purchase))
    }

    fn is_possible(&self, currency: Option<Currency>) -> Result<(), Problem> {
        let CompanyMembership { role, active, purchase_order_required, .. } = self.membership;
        if role < CompanyRole::Buyer {
            let detail = format!("This needs the role {} in the company; yours is {role}.", CompanyRole::Buyer);
            return Err(Problem::new(Code::Forbidden, detail));
        }
        if !active {
            let detail = "The company cannot order: it is not approved, or was suspended.";
            return Err(Problem::new(Code::Conflict, detail));
        }
        if purchase_order_required && self.number.is_none() {
            return Err(Problem::invalid("/purchase_order_number", "this company's orders need a number of its own"));
        }
        if currency.is_some_and(|currency| currency != self.currency()) {
            let detail = format!("this company orders in {}", self.currency());
            return Err(Problem::invalid("/currency", detail));
        }
        Ok(())
    }

    /// What the company orders in.
    pub(crate) const fn currency(&self) -> Currency {
        self.membership.currency
    }

    /// Refuses a buyer what is above the company's limit.
    ///
    /// # Errors
    /// `forbidden`, with both figures.
    pub(crate) fn allows(&self, total: Money) -> Result<(), Problem> {
        let CompanyMembership { role, spending_limit, .. } = self.membership;
        match spending_limit.filter(|limit| role == CompanyRole::Buyer && total.amount > limit.amount) {
            Some(limit) => {
                let detail =
                    format!("The order comes to {total}, and a buyer of this company may order for {limit} at once.");
                Err(Problem::new(Code::Forbidden, detail))
            }
            None => Ok(()),
        }
    }

    /// What the order keeps of it.
    pub(crate) fn row(self, order_id: OrderId) -> CompanyRow {
        let CompanyMembership { company_id, buyer, .. } = self.membership;
        CompanyRow { order_id, company_id, purchase_order_number: self.number, buyer: Buyer(buyer) }
    }
}

async fn membership(
    service: &Orders,
    company_id: CompanyId,
    user_id: UserId,
) -> Result<CompanyMembership, CallError<Unknown>> {
    service.calls.call(&GetCompanyMembership { company_id, user_id }).await
}

/// Lets through who may see all orders of a company: its members, and whoever may read everyone's.
///
/// # Errors
/// `not_found`, whether there is no such company or it is not theirs.
pub(crate) async fn may_see(service: &Orders, caller: &OwnerOr<OrdersRead>, company: CompanyId) -> Result<(), Problem> {
    if caller.reaches_all() {
        return Ok(());
    }
    let unknown = |Unknown::Unknown| Problem::not_found("company");
    let membership = membership(service, company, caller.identity().user).await;
    membership.map(drop).map_err(|error| error.problem(unknown))
}

/// One order that `caller` may see: their own, one of their companies', or anyone's.
///
/// # Errors
/// `not_found`.
pub(crate) async fn visible(service: &Orders, caller: &OwnerOr<OrdersRead>, id: OrderId) -> Result<Order, Problem> {
    let no_such_order = || Problem::not_found("order");
    let mut connection = service.database.connection().await?;
    if let Some(order) = Order::visible_to(caller, id, &mut connection).await? {
        return Ok(order);
    }
    let company = order_company::table.find(id).select(order_company::company_id);
    let company: Option<CompanyId> = company.first(&mut connection).await.optional()?;
    // Not while svc-user is asked.
    drop(connection);
    let company = company.ok_or_else(no_such_order)?;
    may_see(service, caller, company).await.map_err(|refusal| match refusal.code() {
        Code::NotFound => no_such_order(),
        _ => refusal,
    })?;
    let mut connection = service.database.connection().await?;
    Order::find(id, &mut connection).await?.ok_or_else(no_such_order)
}

/// The orders of a company, whoever placed them.
pub(crate) fn placed_for(
    company: CompanyId,
) -> diesel::dsl::Select<
    diesel::dsl::Filter<order_company::table, diesel::dsl::Eq<order_company::company_id, CompanyId>>,
    order_company::order_id,
> {
    order_company::table.filter(order_company::company_id.eq(company)).select(order_company::order_id)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn purchase(role: CompanyRole, changes: serde_json::Value) -> Purchase {
        let mut membership = json!({
            "company_id": CompanyId::new(), "role": role, "active": true, "currency": "EUR",
            "purchase_order_required": false, "spending_limit": {"amount": 10_000, "currency": "EUR"},
            "buyer": {"name": "Kontor GmbH", "vat_id": null, "registration_number": null, "email": "in@kontor.example",
                      "locale": "de", "address": {"name": "Kontor", "line1": "x", "city": "Hamburg", "country": "DE"}},
        });
        membership.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Purchase { membership: serde_json::from_value(membership).unwrap(), number: None }
    }

    fn euros(amount: i64) -> Money {
        Money::new(amount, Currency::EUR)
    }

    #[test]
    fn buyers_order_up_to_the_limit_and_those_above_them_without() {
        for (role, total, allowed) in [
            (CompanyRole::Buyer, 10_000, true),
            (CompanyRole::Buyer, 10_001, false),
            (CompanyRole::Admin, 10_001, true),
            (CompanyRole::Owner, 1_000_000, true),
        ] {
            assert_eq!(purchase(role, json!({})).allows(euros(total)).is_ok(), allowed, "{role} {total}");
        }
        let unlimited = purchase(CompanyRole::Buyer, json!({"spending_limit": null}));
        assert!(unlimited.allows(euros(i64::MAX)).is_ok());
    }

    #[test]
    fn only_buyers_of_an_active_company_order_as_it_wants_it() {
        let code =
            |role, changes, currency| purchase(role, changes).is_possible(currency).map_err(|no| no.code()).err();
        for (role, changes, currency, refused) in [
            (CompanyRole::Buyer, json!({}), None, None),
            (CompanyRole::Buyer, json!({}), Some(Currency::EUR), None),
            (CompanyRole::Buyer, json!({}), Some(Currency::JPY), Some(Code::InvalidRequest)),
            (CompanyRole::Viewer, json!({}), None, Some(Code::Forbidden)),
            (CompanyRole::Owner, json!({"active": false}), None, Some(Code::Conflict)),
            (CompanyRole::Owner, json!({"purchase_order_required": true}), None, Some(Code::InvalidRequest)),
        ] {
            assert_eq!(code(role, changes.clone(), currency), refused, "{role} {changes} {currency:?}");
        }
    }
}
