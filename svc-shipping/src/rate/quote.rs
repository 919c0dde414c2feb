//! `svc.shipping.quote_shipping`: what it costs to send a weight to a country.

use nats::{
    contracts::shipping::{QuoteRefusal, QuoteShipping, ShippingQuote},
    invoke::CallError,
    types::Money,
};

use super::{Rate, zone_of};
use crate::Shipping;

/// The lightest rate that bears the weight.
pub(crate) async fn quote(
    shipping: Shipping,
    question: QuoteShipping,
) -> Result<ShippingQuote, CallError<QuoteRefusal>> {
    let mut connection = shipping.database.connection().await?;
    let zone = zone_of(&mut connection, question.country).await?.ok_or(CallError::Refused(QuoteRefusal::NoZone))?;
    let rates = Rate::of_zone(&mut connection, &zone, question.currency).await?;
    let rate = rates
        .into_iter()
        .find(|rate| rate.up_to_weight_g >= question.weight_g)
        .ok_or(CallError::Refused(QuoteRefusal::NoRate))?;
    Ok(ShippingQuote {
        zone: rate.zone_id,
        service_level: rate.service_level,
        price: Money::new(rate.amount, question.currency),
    })
}
