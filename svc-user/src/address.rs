//! Stored addresses: what a person keeps for the next order.

pub mod api;
pub(crate) mod create;
pub(crate) mod details;
pub mod format;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods, QueryDsl, Queryable, Selectable,
    dsl::{Eq, Filter},
};
use nats::types::{Address, AddressId, UserId};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::schema::address;

/// One of the addresses that a person keeps.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Object, Queryable, Selectable)]
#[diesel(table_name = address)]
pub struct StoredAddress {
    /// Names the address, in orders and here.
    pub(crate) id: AddressId,
    /// The address itself.
    #[diesel(column_name = postal_address)]
    #[serde(flatten)]
    #[oai(flatten)]
    pub(crate) address: Address,
    /// When it was stored.
    pub(crate) created_at: DateTime<Utc>,
    /// When it was last replaced.
    pub(crate) updated_at: DateTime<Utc>,
}

impl StoredAddress {
    /// The addresses of this person: the only way in.
    pub(crate) fn owned_by(user: UserId) -> Filter<address::table, Eq<address::user_id, UserId>> {
        address::table.filter(address::user_id.eq(user))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_stored_address_is_one_flat_object() {
        let json = serde_json::json!({
            "id": "adr_01h455vb4pex5vsknk084sn02q", "name": "Ada", "line1": "Speicherstadt 4", "city": "Hamburg",
            "country": "DE", "created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:00Z",
        });
        let stored: StoredAddress = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&stored).unwrap(), json, "as a replay reads it");
    }
}
