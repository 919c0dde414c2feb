//! What ties a value type to serde, poem-openapi and diesel, written once.
//!
//! `string_type!(T)` needs `T: StringType` and gives serde, OpenAPI and parameter parsing;
//! `text_column!(T)` adds the SQL type `Text`, `jsonb_column!(T)` the SQL type `Jsonb`. The type
//! itself derives `AsExpression` and `FromSqlRow` with `#[diesel(sql_type = …)]`.
//! A service makes its own types (a VAT id, an HS code) with the same macros; [`super::sku`] is the
//! example to copy.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use poem_openapi::registry::MetaSchema;

use super::Invalid;

/// A type that is written as a string wherever it travels.
pub trait StringType: FromStr<Err = Invalid> + Display + Send + Sync {
    /// The type's name in parse errors and in the names of generic schemas.
    fn type_name() -> Cow<'static, str>;

    /// The OpenAPI schema, inlined wherever the type is used.
    fn schema() -> MetaSchema;
}

/// A string schema with an example; callers add the pattern or the lengths.
pub fn string_schema(description: &'static str, example: &str) -> MetaSchema {
    MetaSchema { description: Some(description), example: Some(example.into()), ..MetaSchema::new("string") }
}

/// The methods of `poem_openapi::types::Type` that are the same for all of our leaf types.
#[doc(hidden)]
#[macro_export]
macro_rules! leaf_type {
    () => {
        type RawValueType = Self;
        type RawElementValueType = Self;

        fn as_raw_value(&self) -> Option<&Self::RawValueType> {
            Some(self)
        }

        fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
            Box::new(self.as_raw_value().into_iter())
        }
    };
}

/// serde and poem-openapi for a `StringType`; generics go in brackets before the type.
#[macro_export]
macro_rules! string_type {
    ([$($generics:tt)*] $ty:ty) => {
        impl<$($generics)*> serde::Serialize for $ty {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de, $($generics)*> serde::Deserialize<'de> for $ty {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl<$($generics)*> poem_openapi::types::Type for $ty {
            const IS_REQUIRED: bool = true;

            $crate::leaf_type!();

            fn name() -> std::borrow::Cow<'static, str> {
                <Self as $crate::types::StringType>::type_name()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                let schema = <Self as $crate::types::StringType>::schema();
                poem_openapi::registry::MetaSchemaRef::Inline(Box::new(schema))
            }
        }

        impl<$($generics)*> poem_openapi::types::ParseFromJSON for $ty {
            fn parse_from_json(value: Option<serde_json::Value>) -> poem_openapi::types::ParseResult<Self> {
                match value {
                    Some(serde_json::Value::String(text)) => Ok(text.parse()?),
                    None | Some(serde_json::Value::Null) => Err(poem_openapi::types::ParseError::expected_input()),
                    Some(_) => Err(poem_openapi::types::ParseError::custom("this must be a string")),
                }
            }
        }

        impl<$($generics)*> poem_openapi::types::ParseFromParameter for $ty {
            fn parse_from_parameter(value: &str) -> poem_openapi::types::ParseResult<Self> {
                Ok(value.parse()?)
            }
        }

        impl<$($generics)*> poem_openapi::types::ToJSON for $ty {
            fn to_json(&self) -> Option<serde_json::Value> {
                Some(serde_json::Value::String(self.to_string()))
            }
        }

        impl<$($generics)*> poem_openapi::types::ToHeader for $ty {
            fn to_header(&self) -> Option<poem::http::HeaderValue> {
                poem::http::HeaderValue::from_str(&self.to_string()).ok()
            }
        }
    };
    ($ty:ty) => {
        $crate::string_type!([] $ty);
    };
}

/// SQL `Text` through `Display` and `FromStr`.
#[macro_export]
macro_rules! text_column {
    ([$($generics:tt)*] $ty:ty) => {
        impl<$($generics)*> diesel::serialize::ToSql<diesel::sql_types::Text, diesel::pg::Pg> for $ty {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                std::io::Write::write_fmt(out, format_args!("{self}"))?;
                Ok(diesel::serialize::IsNull::No)
            }
        }

        impl<$($generics)*> diesel::deserialize::FromSql<diesel::sql_types::Text, diesel::pg::Pg> for $ty {
            fn from_sql(value: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
                let text = <String as diesel::deserialize::FromSql<diesel::sql_types::Text, diesel::pg::Pg>>::from_sql(value)?;
                Ok(text.parse::<Self>()?)
            }
        }
    };
    ($ty:ty) => {
        $crate::text_column!([] $ty);
    };
}

/// SQL `Jsonb` through serde.
#[macro_export]
macro_rules! jsonb_column {
    ($ty:ty) => {
        impl diesel::serialize::ToSql<diesel::sql_types::Jsonb, diesel::pg::Pg> for $ty {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                let json = serde_json::to_value(self)?;
                <serde_json::Value as diesel::serialize::ToSql<diesel::sql_types::Jsonb, diesel::pg::Pg>>::to_sql(
                    &json,
                    &mut out.reborrow(),
                )
            }
        }

        impl diesel::deserialize::FromSql<diesel::sql_types::Jsonb, diesel::pg::Pg> for $ty {
            fn from_sql(value: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
                let json = <serde_json::Value as diesel::deserialize::FromSql<
                    diesel::sql_types::Jsonb,
                    diesel::pg::Pg,
                >>::from_sql(value)?;
                Ok(serde_json::from_value(json)?)
            }
        }
    };
}
