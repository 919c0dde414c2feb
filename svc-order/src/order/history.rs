//! An order's history: what changed, when, why, by whom.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods, QueryDsl, Queryable, Selectable, SelectableHelper,
    pg::Pg,
    sql_types::{self, Array},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::sql,
    identity::{Identity, OrdersRead, OwnerOr},
    types::{OrderId, UserId},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::status::{FulfillmentStatus, OrderStatus, PaymentStatus, State, names};
use crate::schema::order_history;

/// How many entries are shown; an order has a handful.
const SHOWN: i64 = 200;

names! {
    /// What happened to an order.
    pub OrderChange, "a change of an order" {
        /// It was placed.
        Placed = "placed",
        /// Its payment arrived.
        Paid = "paid",
        /// Its goods are the customer's.
        Confirmed = "confirmed",
        /// It was given up.
        Canceled = "canceled",
        /// Some of its money, or all of it, went back.
        Refunded = "refunded",
        /// Everything it promised was done.
        Completed = "completed",
        /// Its payment arrived after it had been given up; the money goes back.
        PaidLate = "paid_late",
        /// Something arrived from the payment that does not fit the order; someone has to look.
        PaymentContradicted = "payment_contradicted",
    }
}

names! {
    /// Who changed something.
    pub OrderActor, "an actor" {
        /// The person whose order it is.
        Customer = "customer",
        /// Someone of the shop.
        Staff = "staff",
        /// The system itself.
        System = "system",
    }
}

/// Who changes an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The person whose order it is.
    Customer(UserId),
    /// Someone of the shop.
    Staff(UserId),
    /// The saga.
    System,
}

impl By {
    /// `identity`, as it stands to an order of `owner`.
    pub(crate) fn of(identity: &Identity, owner: UserId) -> Self {
        if identity.user == owner { Self::Customer(owner) } else { Self::Staff(identity.user) }
    }

    const fn parts(self) -> (OrderActor, Option<UserId>) {
        match self {
            Self::Customer(user) => (OrderActor::Customer, Some(user)),
            Self::Staff(user) => (OrderActor::Staff, Some(user)),
            Self::System => (OrderActor::System, None),
        }
    }
}

/// An entry that is to be written.
#[derive(Debug)]
pub(crate) struct NewEntry {
    order_id: OrderId,
    change: OrderChange,
    state: State,
    why: String,
    by: By,
}

/// A row of `order_history`.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = order_history, check_for_backend(Pg))]
struct EntryRow {
    at: DateTime<Utc>,
    change: OrderChange,
    status: OrderStatus,
    payment_status: PaymentStatus,
    fulfillment_status: FulfillmentStatus,
    why: String,
    actor: OrderActor,
    user_id: Option<UserId>,
}

impl NewEntry {
    /// What happened to an order that is in `state` now.
    pub(crate) const fn of(order_id: OrderId, change: OrderChange, state: State, by: By, why: String) -> Self {
        Self { order_id, change, state, why, by }
    }

    /// Writes all of them down, in one statement.
    pub(crate) async fn write_all(entries: &[Self], connection: &mut AsyncPgConnection) -> diesel::QueryResult<()> {
        let (actors, users): (Vec<OrderActor>, Vec<Option<UserId>>) = entries.iter().map(|one| one.by.parts()).unzip();
        sql("insert into order_history (order_id, change, status, payment_status, fulfillment_status, why, actor, user_id)
             select * from unnest($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind::<Array<sql_types::Uuid>, _>(entries.iter().map(|one| one.order_id).collect::<Vec<_>>())
            .bind::<Array<sql_types::Text>, _>(entries.iter().map(|one| one.change).collect::<Vec<_>>())
            .bind::<Array<sql_types::Text>, _>(entries.iter().map(|one| one.state.order).collect::<Vec<_>>())
            .bind::<Array<sql_types::Text>, _>(entries.iter().map(|one| one.state.payment).collect::<Vec<_>>())
            .bind::<Array<sql_types::Text>, _>(entries.iter().map(|one| one.state.fulfillment).collect::<Vec<_>>())
            .bind::<Array<sql_types::Text>, _>(entries.iter().map(|one| one.why.as_str()).collect::<Vec<_>>())
            .bind::<Array<sql_types::Text>, _>(actors)
            .bind::<Array<sql_types::Nullable<sql_types::Uuid>>, _>(users)
            .execute(connection)
            .await
            .map(drop)
    }
}

/// One thing that happened to an order, with its states afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct OrderHistoryEntry {
    /// When.
    at: DateTime<Utc>,
    /// What.
    change: OrderChange,
    /// How far the order was then as a whole.
    status: OrderStatus,
    /// How far its payment was then.
    payment_status: PaymentStatus,
    /// How far its goods were then.
    fulfillment_status: FulfillmentStatus,
    /// Why, in a sentence.
    why: String,
    /// By whom.
    by: OrderActor,
    /// By whom exactly: told to those who may read everyone's orders, and null when it was the system.
    #[oai(nullable)]
    user_id: Option<UserId>,
}

/// What happened to an order, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct OrderHistory {
    /// The entries.
    data: Vec<OrderHistoryEntry>,
}

/// The history of an order that `caller` may see.
pub(crate) async fn read(
    connection: &mut AsyncPgConnection,
    order_id: OrderId,
    caller: &OwnerOr<OrdersRead>,
) -> diesel::QueryResult<OrderHistory> {
    let rows: Vec<EntryRow> = order_history::table
        .filter(order_history::order_id.eq(order_id))
        .order(order_history::id)
        .limit(SHOWN)
        .select(EntryRow::as_select())
        .load(connection)
        .await?;
    let entry = |row: EntryRow| OrderHistoryEntry {
        at: row.at,
        change: row.change,
        status: row.status,
        payment_status: row.payment_status,
        fulfillment_status: row.fulfillment_status,
        why: row.why,
        by: row.actor,
        user_id: row.user_id.filter(|_| caller.reaches_all()),
    };
    Ok(OrderHistory { data: rows.into_iter().map(entry).collect() })
}
