//! Quantities of carts, orders and stock: whole pieces.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, Output, ToSql},
    sql_types,
};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Invalid;

/// Whole pieces, 1 to 100,000; a JSON integer, an SQL `INTEGER`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, AsExpression, FromSqlRow,
)]
#[serde(try_from = "i64")]
#[diesel(sql_type = sql_types::Integer)]
pub struct Quantity(i32);

impl Quantity {
    /// One piece.
    pub const ONE: Self = Self(1);
    /// The most of one SKU that one line may have.
    pub const MAX: Self = Self(100_000);

    /// So many pieces; an error outside 1 to 100,000.
    pub fn new(pieces: i64) -> Result<Self, Invalid> {
        match i32::try_from(pieces) {
            Ok(pieces) if (Self::ONE.0..=Self::MAX.0).contains(&pieces) => Ok(Self(pieces)),
            _ => Err(Invalid::quoting(&pieces.to_string(), "is not a quantity: it must be 1 to 100000")),
        }
    }

    /// The number of pieces.
    pub const fn get(self) -> i32 {
        self.0
    }

    /// Both together, as when a line of a cart is added to; an error above 100,000.
    pub fn checked_add(self, other: Self) -> Result<Self, Invalid> {
        Self::new(i64::from(self.0) + i64::from(other.0))
    }
}

impl TryFrom<i64> for Quantity {
    type Error = Invalid;

    fn try_from(pieces: i64) -> Result<Self, Invalid> {
        Self::new(pieces)
    }
}

impl From<Quantity> for i32 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

impl FromStr for Quantity {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = |_| Invalid::quoting(text, "is not a quantity: it must be 1 to 100000");
        Self::new(text.parse().map_err(refuse)?)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Type for Quantity {
    const IS_REQUIRED: bool = true;

    leaf_type!();

    fn name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some("Whole pieces"),
            minimum: Some(1.0),
            maximum: Some(100_000.0),
            example: Some(2.into()),
            ..MetaSchema::new_with_format("integer", "int32")
        }))
    }
}

impl ParseFromJSON for Quantity {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let value = value.ok_or_else(ParseError::expected_input)?;
        let pieces = value.as_i64().ok_or_else(|| ParseError::custom("this must be an integer"))?;
        Ok(Self::new(pieces)?)
    }
}

impl ParseFromParameter for Quantity {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(value.parse()?)
    }
}

impl ToJSON for Quantity {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.into())
    }
}

impl ToSql<sql_types::Integer, Pg> for Quantity {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <i32 as ToSql<sql_types::Integer, Pg>>::to_sql(&self.0, out)
    }
}

impl FromSql<sql_types::Integer, Pg> for Quantity {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let pieces = <i32 as FromSql<sql_types::Integer, Pg>>::from_sql(value)?;
        Ok(Self::new(pieces.into())?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        for json in ["1", "2", "100000"] {
            let quantity: Quantity = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&quantity).unwrap(), json);
            assert_eq!(quantity.to_json().unwrap().to_string(), json);
            assert_eq!(Quantity::parse_from_json(serde_json::from_str(json).unwrap()).unwrap(), quantity);
        }
        for json in ["0", "-1", "100001", "1.5", "2.0", "\"2\"", "null", "99999999999999999999"] {
            assert!(serde_json::from_str::<Quantity>(json).is_err(), "{json}");
            assert!(Quantity::parse_from_json(serde_json::from_str(json).unwrap()).is_err(), "{json}");
        }
        assert!(Quantity::MAX.checked_add(Quantity::ONE).is_err());
    }
}
