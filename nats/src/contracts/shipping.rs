//! svc-shipping: what it costs to send something somewhere.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::call;
use crate::types::{CountryCode, Currency, Money};

/// Asks what shipping costs.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct QuoteShipping {
    /// Where to.
    pub country: CountryCode,
    /// The weight of the goods, in grams.
    pub weight_g: i64,
    /// The currency wanted.
    pub currency: Currency,
}

/// What it costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct ShippingQuote {
    /// The zone the country is in, such as `domestic`.
    pub zone: String,
    /// The service level, as the customer reads it.
    pub service_level: String,
    /// Net.
    pub price: Money,
}

/// Why there is no quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuoteRefusal {
    /// We do not ship there.
    NoZone,
    /// There is no rate in this currency.
    NoRate,
}

call!(QuoteShipping = "shipping".quote_shipping -> ShippingQuote, or QuoteRefusal, idempotent: true);
