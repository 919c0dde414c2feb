//! External identities: whom other providers know people as, so that people can sign in with what they have there.
//!
//! An identity is an issuer and what it calls the person (`sub`); it is linked when somebody signs in with it for the first
//! time (`auth::google`).

pub mod api;
pub(crate) mod unlink;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods, QueryDsl, Queryable, Selectable,
    dsl::{Eq, Filter},
};
use nats::types::{ExternalIdentityId, UserId};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::schema::external_identity;

/// What somebody can sign in with, besides a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Object, Queryable, Selectable)]
#[diesel(table_name = external_identity)]
pub struct ExternalIdentity {
    /// Names it here.
    pub(crate) id: ExternalIdentityId,
    /// The provider, such as `https://accounts.google.com`.
    pub(crate) issuer: String,
    /// The address that the person has there.
    pub(crate) email: String,
    /// When it was first signed in with.
    pub(crate) created_at: DateTime<Utc>,
    /// When it was last signed in with.
    pub(crate) last_used_at: DateTime<Utc>,
}

impl ExternalIdentity {
    /// The identities of this person: the only way in from outside.
    pub(crate) fn owned_by(user: UserId) -> Filter<external_identity::table, Eq<external_identity::user_id, UserId>> {
        external_identity::table.filter(external_identity::user_id.eq(user))
    }
}
