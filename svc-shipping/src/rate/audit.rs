//! What must be so of zones and rates.

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{contracts::operations::AuditCheck, database::DatabaseError};

use crate::Shipping;

/// Checks that there is a rate for wherever we ship to.
///
/// # Errors
/// The database's.
pub(crate) async fn audit(shipping: Shipping) -> Result<Vec<AuditCheck>, DatabaseError> {
    #[derive(QueryableByName)]
    struct Country {
        #[diesel(sql_type = sql_types::Text)]
        country: String,
        #[diesel(sql_type = sql_types::Text)]
        zone_id: String,
        #[diesel(sql_type = sql_types::BigInt)]
        rates: i64,
    }
    let mut connection = shipping.database.connection().await?;
    let countries: Vec<Country> = sql_query(
        "select country, zone_id, (select count(*) from rate where rate.zone_id = zone_country.zone_id) as rates
         from zone_country order by country",
    )
    .load(&mut connection)
    .await?;
    let without = countries.iter().filter(|country| country.rates == 0);
    let violations =
        without.map(|Country { country, zone_id, .. }| format!("{country} is in zone {zone_id}, without a rate"));
    let figures = format!("{} countries", countries.len());
    Ok(vec![AuditCheck::new("there is a rate for every country that is shipped to", figures, violations.collect())])
}
