//! Recording a movement: goods that came in, or a difference that someone found.

use nats::{
    http::Created,
    idempotency::{Claim, IdempotencyKey, claim, required},
    problem::{Code, Problem},
    types::{Sku, Text, UserId},
};
use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::{
    MOST, Stock,
    api::StockMovement,
    ledger::{self, Kind, Movement, NewMovement},
};
use crate::Catalog;

/// What people record; everything else is moved by orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub(crate) enum RecordedKind {
    /// Goods came in.
    Receipt,
    /// Someone counted; the quantity may be negative.
    Adjustment,
}

/// A movement of stock, as someone saw it.
#[derive(Debug, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct RecordMovement {
    /// What happened.
    pub(crate) kind: RecordedKind,
    /// Pieces: above zero for a receipt, anything but zero for an adjustment.
    #[oai(validator(minimum(value = "-1000000000"), maximum(value = "1000000000")))]
    pub(crate) quantity: i32,
    /// Why, for those who count.
    pub(crate) reason: Option<Text<1, 200>>,
}

impl RecordMovement {
    fn check(&self) -> Result<(), Problem> {
        match (self.kind, self.quantity) {
            (RecordedKind::Receipt, ..=0) => Err("a receipt must be above zero"),
            (RecordedKind::Adjustment, 0) => Err("an adjustment must not be zero"),
            (_, quantity) if !(-MOST..=MOST).contains(&quantity) => Err("this must be -1000000000 to 1000000000"),
            _ => Ok(()),
        }
        .map_err(|rule| Problem::invalid("/quantity", rule))
    }
}

/// Books the movement, once per key.
pub(crate) async fn record_movement(
    catalog: &Catalog,
    actor: UserId,
    key: Option<IdempotencyKey>,
    sku: &Sku,
    request: &RecordMovement,
) -> Result<Created<StockMovement>, Problem> {
    let key = required(key)?;
    request.check()?;
    let mut tx = catalog.database.begin().await?;
    let slot = match claim(&mut tx, &actor, "record_movement", Some(key), &(sku, request)).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok(Created { location, body, replayed: true }),
    };
    let before = Stock::lock(&mut tx, std::slice::from_ref(sku)).await?.remove(sku);
    let before = before.ok_or_else(|| Problem::not_found("SKU"))?;
    let after = before.on_hand.saturating_add(request.quantity);
    if after < before.reserved {
        let detail = format!("{} are on hand, {} of them reserved for orders", before.on_hand, before.reserved);
        return Err(Problem::new(Code::Conflict, "Less would be on hand than is reserved.").at("/quantity", detail));
    }
    if after > MOST {
        let detail = format!("{} are on hand; there is room for {MOST}", before.on_hand);
        return Err(Problem::new(Code::Conflict, "More would be on hand than can be counted.").at("/quantity", detail));
    }
    let movement = NewMovement {
        sku: sku.clone(),
        kind: match request.kind {
            RecordedKind::Receipt => Kind::Receipt,
            RecordedKind::Adjustment => Kind::Adjustment,
        },
        quantity: request.quantity,
        order_id: None,
        reason: request.reason.as_ref().map(ToString::to_string),
        actor: Some(actor),
    };
    ledger::book(&mut tx, &[movement]).await?;
    let body = StockMovement::from(Movement::newest(&mut tx, sku).await?);
    let location = format!("/v1/stock/{sku}/movements");
    slot.store(&mut tx, 201, &location, &body).await?;
    tx.commit().await?;
    Ok(Created::new(location, body))
}
