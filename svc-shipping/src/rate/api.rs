//! Rates, for whoever wants to know before ordering.

use nats::{
    http::Body,
    problem::{Code, Problem},
    types::{CountryCode, Currency, Money},
};
use poem::web::Data;
use poem_openapi::{Object, OpenApi, Tags, param::Query};
use serde::{Deserialize, Serialize};

use super::{Rate, zone_of};
use crate::Shipping;

#[derive(Tags)]
enum Tag {
    /// What shipping costs.
    Shipping,
}

/// What it costs to send goods up to a weight.
#[derive(Debug, Serialize, Deserialize, Object)]
pub struct ShippingRate {
    /// The zone, such as `eu`.
    zone: String,
    /// The service level.
    service_level: String,
    /// Up to this weight, in grams, inclusive.
    up_to_weight_g: i64,
    /// Net.
    price: Money,
}

/// Every rate to one country.
#[derive(Debug, Serialize, Deserialize, Object)]
pub struct ShippingRates {
    /// Lightest first; empty when there is none in this currency.
    data: Vec<ShippingRate>,
}

/// The endpoints of rates.
pub struct RateApi;

#[OpenApi(prefix_path = "/v1/shipping", tag = "Tag::Shipping")]
impl RateApi {
    /// List the shipping rates to a country
    ///
    /// A country that nothing is shipped to is `not_found`.
    #[oai(path = "/rates", method = "get", operation_id = "list_shipping_rates")]
    async fn list(
        &self,
        Data(shipping): Data<&Shipping>,
        /// Where to (ISO 3166-1 alpha-2).
        country: Query<CountryCode>,
        /// The currency wanted (ISO 4217); EUR when unset.
        currency: Query<Option<Currency>>,
    ) -> Result<Body<ShippingRates>, Problem> {
        let currency = currency.0.unwrap_or(Currency::EUR);
        let mut connection = shipping.database.connection().await?;
        let zone = zone_of(&mut connection, country.0)
            .await?
            .ok_or_else(|| Problem::new(Code::NotFound, format!("We do not ship to {}.", country.0.name())))?;
        let rates = Rate::of_zone(&mut connection, &zone, currency).await?;
        let data = rates.into_iter().map(|rate| ShippingRate {
            zone: rate.zone_id,
            service_level: rate.service_level,
            up_to_weight_g: rate.up_to_weight_g,
            price: Money::new(rate.amount, currency),
        });
        Ok(Body(ShippingRates { data: data.collect() }))
    }
}
