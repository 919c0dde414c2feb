//! An invoice in a list: what a line of it shows, without its thousand lines.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::{
    QueryDsl, Queryable, Selectable, SelectableHelper,
    dsl::sql,
    expression::SqlLiteral,
    pg::Pg,
    sql_types::{BigInt, Date, Nullable, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::types::{Currency, InvoiceId, Money, OrderId};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{
    identifiers::Series,
    values::{InvoiceState, InvoiceType},
};
use crate::schema::invoice;

/// An invoice in a list, and the answer to an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct InvoiceSummary {
    /// Which.
    pub id: InvoiceId,
    /// How far it is.
    pub state: InvoiceState,
    /// Its number; null until it is issued, unless it brought one.
    #[oai(nullable)]
    pub number: Option<String>,
    /// UNTDID 1001.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: InvoiceType,
    /// The series of its number.
    pub series: Series,
    /// The day of issue.
    pub issue_date: NaiveDate,
    /// The day by which it is to be paid.
    #[oai(nullable)]
    pub due_date: Option<NaiveDate>,
    /// Who sells.
    pub seller_name: String,
    /// Who pays.
    pub buyer_name: String,
    /// The total with tax.
    pub total: Money,
    /// The order that it is for.
    #[oai(nullable)]
    pub order_id: Option<OrderId>,
    /// When it came to us.
    pub created_at: DateTime<Utc>,
}

/// The columns of a summary.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = invoice, check_for_backend(Pg))]
pub(crate) struct SummaryRow {
    pub(crate) id: InvoiceId,
    state: InvoiceState,
    number: Option<String>,
    kind: InvoiceType,
    series: Series,
    issue_date: NaiveDate,
    #[diesel(select_expression = due_date(), select_expression_type = SqlLiteral<Nullable<Date>>)]
    due_date: Option<NaiveDate>,
    #[diesel(select_expression = name_of("seller"), select_expression_type = SqlLiteral<Text>)]
    seller_name: String,
    #[diesel(select_expression = name_of("buyer"), select_expression_type = SqlLiteral<Text>)]
    buyer_name: String,
    #[diesel(select_expression = sql("total"), select_expression_type = SqlLiteral<BigInt>)]
    total: i64,
    #[diesel(select_expression = sql("currency"), select_expression_type = SqlLiteral<Text>)]
    currency: Currency,
    order_id: Option<OrderId>,
    created_at: DateTime<Utc>,
}

fn due_date() -> SqlLiteral<Nullable<Date>> {
    sql("(data ->> 'due_date')::date")
}

/// `party` is a constant of this file.
fn name_of(party: &'static str) -> SqlLiteral<Text> {
    sql(&format!("data #>> '{{{party},name}}'"))
}

impl SummaryRow {
    /// That of one invoice.
    pub(crate) async fn find(connection: &mut AsyncPgConnection, id: InvoiceId) -> diesel::QueryResult<Self> {
        invoice::table.find(id).select(Self::as_select()).first(connection).await
    }
}

impl From<SummaryRow> for InvoiceSummary {
    fn from(row: SummaryRow) -> Self {
        Self {
            id: row.id,
            state: row.state,
            number: row.number,
            kind: row.kind,
            series: row.series,
            issue_date: row.issue_date,
            due_date: row.due_date,
            seller_name: row.seller_name,
            buyer_name: row.buyer_name,
            total: Money::new(row.total, row.currency),
            order_id: row.order_id,
            created_at: row.created_at,
        }
    }
}
