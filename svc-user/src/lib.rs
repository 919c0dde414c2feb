//! Users: who people are, how they sign in, and where they live.
//!
//! The list in [`service`] is everything this service serves, answers, consumes and publishes.
//!
//! | module | what is in it |
//! |---|---|
//! | [`auth`] | register, sign in, go on, sign out; passwords, links in mails, how often one may try |
//! | [`session`] | sessions and their refresh tokens |
//! | [`user`] | profiles and roles |
//! | [`address`] | stored addresses |
//! | [`api_key`] | what people's programs sign in with |
//! | [`signing_key`] | the keys of access tokens |
//! | `audit` | what must be so of all of these |
//! | `token` | what we hand out and keep no copy of |
//!
//! Trap: an access token is believed until it expires, unless whoever believes it hears that its session has ended. A new
//! role takes effect with the next token.

pub mod address;
pub mod api_key;
pub(crate) mod audit;
pub mod auth;
pub(crate) mod schema;
pub mod session;
pub mod signing_key;
pub(crate) mod token;
pub mod user;

use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::user::{
        GetAddress, GetEmailVerificationMail, GetPasswordResetMail, GetSigningKeys, GetUserDetails, GrantRole,
        RotateSigningKeys, UserApiKeyRevoked, UserEmailVerificationRequested, UserPasswordResetRequested,
        UserRegistered, UserSessionEnded, VerifyApiKey,
    },
    database::Database,
    service::{Runtime, Service, StartError},
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
const HOURLY: Duration = Duration::from_secs(3600);
const SECONDS_10: Duration = Duration::from_secs(10);

/// The service, as its list says.
pub fn service() -> Service<Users> {
    let api = (
        auth::api::AuthApi,
        session::api::SessionApi,
        user::api::UserApi,
        address::api::AddressApi,
        api_key::api::ApiKeyApi,
        signing_key::api::SigningKeyApi,
    );
    Service::new("user", "Accounts, sessions, tokens and addresses.", MIGRATIONS, Users::start)
        .http(api)
        .answer::<GetUserDetails, _>(user::details::get_user_details)
        .answer::<GrantRole, _>(user::grant_role::grant_role)
        .answer::<GetAddress, _>(address::details::get_address)
        .answer::<GetPasswordResetMail, _>(auth::account_mail::get_password_reset_mail)
        .answer::<GetEmailVerificationMail, _>(auth::account_mail::get_email_verification_mail)
        .answer::<VerifyApiKey, _>(api_key::verify::verify_api_key)
        .answer::<GetSigningKeys, _>(signing_key::get_signing_keys)
        .answer::<RotateSigningKeys, _>(signing_key::rotate::rotate_signing_keys)
        .publishes::<UserRegistered>()
        .publishes::<UserEmailVerificationRequested>()
        .publishes::<UserPasswordResetRequested>()
        .publishes::<UserSessionEnded>()
        .publishes::<UserApiKeyRevoked>()
        .every("follow_signing_keys", SECONDS_10, signing_key::signer::follow_signing_keys)
        .every("forget_dead_sessions", HOURLY, session::forget_dead)
        .every("forget_attempts", HOURLY, auth::attempts::forget_attempts)
        .every("forget_mail_tokens", HOURLY, auth::mail_token::forget_mail_tokens)
        .every("forget_api_keys", HOURLY, api_key::forget_api_keys)
        .every("forget_retired_keys", HOURLY, signing_key::forget_retired_keys)
        .audit(audit::audit)
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Users {
    pub(crate) database: Database,
    pub(crate) passwords: auth::password::Hasher,
    pub(crate) signer: signing_key::signer::Signer,
    /// How long a new signing key is published before it signs, in seconds.
    pub(crate) key_lead_s: u32,
}

impl Users {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        let passwords = auth::password::Hasher::new(&runtime.settings)?;
        let key_lead_s = signing_key::rotate::lead(&runtime.settings)?;
        let signer = signing_key::signer::Signer::open(&runtime.database).await?;
        Ok(Self { database: runtime.database, passwords, signer, key_lead_s })
    }
}
