//! Setting a level: what someone counted.

use diesel::ExpressionMethods;
use diesel_async::RunQueryDsl;
use nats::{
    problem::{Code, Problem},
    types::{Sku, UserId},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{
    MOST, Stock,
    ledger::{self, Kind, NewMovement},
};
use crate::{Catalog, schema::stock};

/// How much there is of a SKU, and when to buy more.
#[derive(Debug, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct SetStock {
    /// Pieces on hand, those reserved included; at most 1,000,000,000.
    #[oai(validator(minimum(value = "0"), maximum(value = "1000000000")))]
    pub(crate) on_hand: i32,
    /// Below this it is time to buy; unchanged when absent.
    #[oai(validator(minimum(value = "0"), maximum(value = "1000000000")))]
    pub(crate) reorder_point: Option<i32>,
}

impl SetStock {
    fn check(&self) -> Result<(), Problem> {
        let fields = [("/on_hand", Some(self.on_hand)), ("/reorder_point", self.reorder_point)];
        for (pointer, value) in fields {
            if value.is_some_and(|value| !(0..=MOST).contains(&value)) {
                return Err(Problem::invalid(pointer, format!("this must be 0 to {MOST}")));
            }
        }
        Ok(())
    }
}

/// Sets the level of a SKU; the ledger gets the difference as an adjustment.
pub(crate) async fn set_stock(
    catalog: &Catalog,
    actor: UserId,
    sku: &Sku,
    request: &SetStock,
) -> Result<Stock, Problem> {
    request.check()?;
    let mut tx = catalog.database.begin().await?;
    let before = Stock::lock(&mut tx, std::slice::from_ref(sku)).await?.remove(sku);
    let before = before.ok_or_else(|| Problem::not_found("SKU"))?;
    if request.on_hand < before.reserved {
        let detail = format!("{} are reserved for orders; on_hand cannot be less", before.reserved);
        return Err(Problem::new(Code::Conflict, "Less would be on hand than is reserved.").at("/on_hand", detail));
    }
    if request.on_hand != before.on_hand {
        let adjustment = NewMovement {
            sku: sku.clone(),
            kind: Kind::Adjustment,
            quantity: request.on_hand - before.on_hand,
            order_id: None,
            reason: Some("level set".to_owned()),
            actor: Some(actor),
        };
        ledger::book(&mut tx, &[adjustment]).await?;
    }
    let reorder_point = request.reorder_point.unwrap_or(before.reorder_point);
    diesel::update(diesel::QueryDsl::find(stock::table, sku))
        .set(stock::reorder_point.eq(reorder_point))
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(Stock { on_hand: request.on_hand, reorder_point, ..before })
}
