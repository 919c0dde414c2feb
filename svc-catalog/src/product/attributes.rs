//! Attributes: what there is to say about a product point by point, such as `{"material": "Brass"}`.

use std::collections::BTreeMap;

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use nats::{problem::Problem, types::Text};
use serde::{Deserialize, Serialize};

/// The most that a product has.
const MOST: usize = 50;

/// Names and texts, as they travel.
pub(super) type AttributeMap = BTreeMap<Text<1, 64>, Text<1, 500>>;

/// The same as a column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[serde(transparent)]
#[diesel(sql_type = sql_types::Jsonb)]
pub(crate) struct Attributes(pub(super) AttributeMap);

nats::jsonb_column!(Attributes);

/// Refuses more than a product may have.
pub(super) fn check(attributes: Option<&AttributeMap>) -> Result<(), Problem> {
    match attributes {
        Some(attributes) if attributes.len() > MOST => {
            Err(Problem::invalid("/attributes", format!("a product has at most {MOST} attributes")))
        }
        _ => Ok(()),
    }
}
