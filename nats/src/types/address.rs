//! Postal addresses of people and companies.
//!
//! One JSON object in the API and one `JSONB` column in SQL: an order keeps a copy of the address
//! it was placed with. `Debug` shows the country only, so that people stay out of logs.

use std::fmt::{self, Debug};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{CountryCode, Name, Text};

/// A postal address.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Object, AsExpression, FromSqlRow)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
#[diesel(sql_type = sql_types::Jsonb)]
pub struct Address {
    /// The recipient.
    pub name: Name,
    /// The recipient's company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<Name>,
    /// Street and house number, or what takes their place.
    pub line1: Name,
    /// Floor, building, care of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<Name>,
    /// City or town.
    pub city: Text<1, 100>,
    /// Postal code; some countries have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<Text<1, 20>>,
    /// State, province or canton, where the country's addresses have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Text<1, 100>>,
    /// ISO 3166-1 alpha-2.
    pub country: CountryCode,
    /// For the carrier; in any notation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Text<1, 32>>,
}

jsonb_column!(Address);

impl Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("country", &self.country).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use poem_openapi::types::{ParseFromJSON, ToJSON};
    use serde_json::json;

    use super::*;

    #[test]
    fn one_form_in_serde_and_openapi() {
        let json = json!({"name": "Ada", "line1": "Speicherstadt 4", "city": "Hamburg", "postal_code": "20457", "country": "DE"});
        let address: Address = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&address).unwrap(), json);
        assert_eq!(address.to_json().unwrap(), json);
        assert_eq!(Address::parse_from_json(Some(json)).unwrap(), address);
        assert_eq!(format!("{address:?}"), "Address { country: DE, .. }");
    }

    #[test]
    fn errors_point_at_the_field() {
        let json = r#"{"name": "Ada", "line1": "x", "city": "Hamburg", "country": "XX"}"#;
        let error = serde_path_to_error::deserialize::<_, Address>(&mut serde_json::Deserializer::from_str(json));
        let error = error.unwrap_err();
        assert_eq!(error.path().to_string(), "country");
        assert!(error.to_string().contains("`XX` is not an ISO 3166-1"), "{error}");
        let unknown = json!({"name": "Ada", "line1": "x", "city": "y", "country": "DE", "planet": "Earth"});
        assert!(serde_json::from_value::<Address>(unknown.clone()).is_err());
        assert!(Address::parse_from_json(Some(unknown)).is_err());
    }
}
