//! svc-user: who people are, and the keys that tokens are verified with.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{Never, call, event};
use crate::types::{Address, AddressId, Email, Locale, UserId};

event! {
    /// Someone registered.
    UserRegistered = "user" / user.registered.1, by user_id {
        /// Who.
        user_id: UserId,
    }
}

/// Asks for a person's name and address, to write to them.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetUserDetails {
    /// Who.
    pub user_id: UserId,
}

/// What other services may know of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct UserDetails {
    /// Who.
    pub user_id: UserId,
    /// Where mail goes.
    pub email: Email,
    /// What to call them.
    pub name: String,
    /// The language they read.
    pub locale: Locale,
}

/// There is no such thing, or it is not that person's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unknown {
    /// No user, or no address of that user, has this id.
    Unknown,
}

call!(GetUserDetails = "user".get_user_details -> UserDetails, or Unknown, idempotent: true);

/// Asks for one of a person's stored addresses.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetAddress {
    /// Whose.
    pub user_id: UserId,
    /// Which.
    pub address_id: AddressId,
}

call!(GetAddress = "user".get_address -> Address, or Unknown, idempotent: true);

/// Asks for the public keys that access tokens are signed with (RFC 7517).
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetSigningKeys {}

/// A JSON Web Key Set of EC P-256 keys (RFC 7517, RFC 7518).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct JsonWebKeySet {
    /// The keys; a token's `kid` names one of them.
    pub keys: Vec<JsonWebKey>,
}

/// The public half of an ES256 signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct JsonWebKey {
    /// `EC`.
    pub kty: String,
    /// `P-256`.
    pub crv: String,
    /// The point's x, base64url.
    pub x: String,
    /// The point's y, base64url.
    pub y: String,
    /// Names the key in tokens.
    pub kid: String,
    /// `ES256`.
    pub alg: String,
    /// `sig`.
    #[serde(rename = "use")]
    #[oai(rename = "use")]
    pub key_use: String,
}

call!(GetSigningKeys = "user".get_signing_keys -> JsonWebKeySet, or Never, idempotent: true);

/// The operator gives a registered person a role (`argosy user grant`).
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GrantRole {
    /// Who, by the address they registered with.
    pub email: Email,
    /// `customer`, `staff` or `admin`.
    pub role: crate::identity::Role,
}

/// Whose role it now is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct RoleGranted {
    /// Who.
    pub user_id: UserId,
}

call!(GrantRole = "user".grant_role -> RoleGranted, or Unknown, idempotent: true);

/// The issuer of access tokens (`iss`).
pub const TOKEN_ISSUER: &str = "argosy";
/// Who access tokens are for (`aud`).
pub const TOKEN_AUDIENCE: &str = "argosy-api";

/// What an access token says (RFC 9068).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// [`TOKEN_ISSUER`].
    pub iss: String,
    /// [`TOKEN_AUDIENCE`].
    pub aud: String,
    /// The user.
    pub sub: UserId,
    /// The session.
    pub sid: crate::types::SessionId,
    /// The client that asked for the token.
    pub client_id: String,
    /// The user's roles when it was issued.
    pub roles: Vec<crate::identity::Role>,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// The token's own id.
    pub jti: String,
}
