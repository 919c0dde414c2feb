//! svc-user: who people are, and the keys that tokens are verified with.

pub mod company;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Never, call, event};
use crate::{
    identity::Role,
    types::{Address, AddressId, ApiKeyId, Currency, Email, Locale, SessionId, UserId},
};

event! {
    /// Someone registered.
    UserRegistered = "user" / user.registered.1, by user_id {
        /// Who.
        user_id: UserId,
    }
}

event! {
    /// A session ended before its time. Its access tokens are not to be believed from now on.
    UserSessionEnded = "user" / user.session_ended.1, by user_id {
        /// Whose.
        user_id: UserId,
        /// Which.
        session_id: SessionId,
    }
}

event! {
    /// An API key was revoked. It is not to be believed from now on.
    UserApiKeyRevoked = "user" / user.api_key_revoked.1, by user_id {
        /// Whose.
        user_id: UserId,
        /// Which.
        api_key_id: ApiKeyId,
    }
}

event! {
    /// Someone has other roles. What was issued to them of an earlier revision is not to be believed from now on: it has to be
    /// refreshed.
    UserRolesChanged = "user" / user.roles_changed.1, by user_id {
        /// Who.
        user_id: UserId,
        /// Rises with each change of anybody's roles, or of what one lets do.
        revision: i64,
    }
}

event! {
    /// A role lets do other things. What was issued to whoever has it, of an earlier revision, is not to be believed from now
    /// on: it has to be refreshed.
    RoleChanged = "user" / role.changed.1, by role {
        /// Which.
        role: Role,
        /// Rises with each change of anybody's roles, or of what one lets do.
        revision: i64,
    }
}

event! {
    /// Someone wants to set a new password without the old one. The link for that is made when its mail is written.
    UserPasswordResetRequested = "user" / user.password_reset_requested.1, by user_id {
        /// Whose.
        user_id: UserId,
    }
}

event! {
    /// Someone's e-mail address is to be verified. The link for that is made when its mail is written.
    UserEmailVerificationRequested = "user" / user.email_verification_requested.1, by user_id {
        /// Whose.
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
    /// What else they prefer.
    #[serde(default)]
    #[oai(default)]
    pub preferences: Preferences,
}

/// What a person prefers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct Preferences {
    /// What they pay in, when an order does not say.
    pub currency: Currency,
    /// Which mails they want.
    pub emails: EmailPreferences,
}

/// Which mails a person wants. Those that keep an account safe are no matter of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct EmailPreferences {
    /// What becomes of their orders.
    pub orders: bool,
    /// That an invoice is there, with a link to it.
    pub invoices: bool,
}

impl Default for Preferences {
    /// Euros, and every mail.
    fn default() -> Self {
        Self { currency: Currency::EUR, emails: EmailPreferences { orders: true, invoices: true } }
    }
}

/// There is no such thing, or it is not that person's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unknown {
    /// No user, or no address, company or invitation of that user, has this id; no API key that is good has this hash.
    Unknown,
}

call!(GetUserDetails = "user".get_user_details -> UserDetails, or Unknown, idempotent: true);

/// Asks for what a mail with a link to set a new password says. The link is made here, and ends earlier ones.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetPasswordResetMail {
    /// Whose.
    pub user_id: UserId,
}

/// Asks for what a mail with a link to verify an e-mail address says. The link is made here, and ends earlier ones.
/// Refused when the address is verified already.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetEmailVerificationMail {
    /// Whose.
    pub user_id: UserId,
}

// Not `Debug`: the link works for whoever has it.
/// What a mail about an account says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AccountMail {
    /// Where it goes.
    pub email: Email,
    /// What to call the person.
    pub name: String,
    /// The language they read.
    pub locale: Locale,
    /// Path and fragment of a page of the shop. The token stands in the fragment, which no server gets to see.
    pub link: String,
}

// Repeated, a try that was slow could end the link of a later one, which is already on its way.
call!(GetPasswordResetMail = "user".get_password_reset_mail -> AccountMail, or Unknown, idempotent: false);
call!(GetEmailVerificationMail = "user".get_email_verification_mail -> AccountMail, or Unknown, idempotent: false);

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

/// The operator has access tokens signed with a new key (`argosy user rotate-keys`). Asked again while that is under way, it
/// changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct RotateSigningKeys {}

/// Which key takes over, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct SigningKeysRotated {
    /// The new key.
    pub kid: String,
    /// From when on it signs; it is published already.
    pub signs_from: DateTime<Utc>,
    /// Until when the keys before it are published, for the tokens that they signed.
    pub others_until: DateTime<Utc>,
}

call!(RotateSigningKeys = "user".rotate_signing_keys -> SigningKeysRotated, or Never, idempotent: true);

/// What every API key begins with.
pub const API_KEY_PREFIX: &str = "argosy_key_";

/// Asks whose an API key is, and what it may do. The key itself does not travel.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct VerifyApiKey {
    /// The SHA-256 of the whole key, in base64url without padding.
    pub hash: String,
}

impl VerifyApiKey {
    /// The question about this key.
    pub fn of(key: &str) -> Self {
        Self { hash: URL_SAFE_NO_PAD.encode(Sha256::digest(key)) }
    }
}

/// An API key that is good at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct VerifiedApiKey {
    /// Which.
    pub api_key_id: ApiKeyId,
    /// Whose.
    pub user_id: UserId,
    /// What it was made for, such as `catalog:write`. It may do what its owner may, within these.
    pub scopes: Vec<String>,
    /// Its owner's roles at this moment.
    pub roles: Vec<Role>,
    /// What these let do, such as `orders:read`.
    pub permissions: Vec<String>,
    /// As of which revision of roles and what they let do.
    pub revision: i64,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

call!(VerifyApiKey = "user".verify_api_key -> VerifiedApiKey, or Unknown, idempotent: true);

/// The operator gives a registered person a role (`argosy user grant`).
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GrantRole {
    /// Who, by the address they registered with.
    pub email: Email,
    /// `customer`, `staff`, `admin`, or one that was made since.
    pub role: Role,
}

/// Whose role it now is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct RoleGranted {
    /// Who.
    pub user_id: UserId,
}

/// Why a role cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CannotGrant {
    /// Nobody is registered with this address.
    UnknownUser,
    /// There is no such role.
    UnknownRole,
    /// They have as many roles as one can have.
    TooManyRoles,
}

call!(GrantRole = "user".grant_role -> RoleGranted, or CannotGrant, idempotent: true);

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
    pub sid: SessionId,
    /// The client that asked for the token.
    pub client_id: String,
    /// The user's roles when it was issued.
    pub roles: Vec<Role>,
    // `roles` and `entitlements` are the names that RFC 9068 (2.2.3.1) takes from SCIM (RFC 7643, 4.1.2), where the latter is
    // what a person may do; so whoever verifies tokens elsewhere finds both where they look for them. Texts, because a
    // token may name a permission that its reader does not know yet.
    /// What these let do, such as `orders:read`.
    #[serde(rename = "entitlements")]
    pub permissions: Vec<String>,
    /// As of which revision of roles and what they let do ([`UserRolesChanged`], [`RoleChanged`]).
    pub roles_revision: i64,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// The token's own id.
    pub jti: String,
}
