//! Rates: a flat net price per zone, currency and weight.

pub mod api;
pub(crate) mod audit;
pub(crate) mod quote;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable};
use diesel_async::RunQueryDsl;
use nats::{
    database::{Connection, DatabaseError},
    types::{CountryCode, Currency},
};

use crate::schema::{rate, zone_country};

/// A row of `rate`, with its zone.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub(crate) struct Rate {
    pub(crate) zone_id: String,
    pub(crate) up_to_weight_g: i64,
    pub(crate) service_level: String,
    pub(crate) amount: i64,
}

impl Rate {
    /// The rates of the zone that `country` is in, lightest first.
    pub(crate) async fn of_zone(
        connection: &mut Connection,
        zone_id: &str,
        currency: Currency,
    ) -> Result<Vec<Self>, DatabaseError> {
        Ok(rate::table
            .filter(rate::zone_id.eq(zone_id))
            .filter(rate::currency.eq(currency))
            .order(rate::up_to_weight_g)
            .select((rate::zone_id, rate::up_to_weight_g, rate::service_level, rate::amount))
            .load(connection)
            .await?)
    }
}

/// The zone that `country` is in; `None` when we do not ship there.
pub(crate) async fn zone_of(
    connection: &mut Connection,
    country: CountryCode,
) -> Result<Option<String>, DatabaseError> {
    Ok(zone_country::table.find(country).select(zone_country::zone_id).first(connection).await.optional()?)
}
