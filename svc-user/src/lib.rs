//! Users: who people are, how they sign in, and where they live.
//!
//! The list in [`service`] is everything this service serves, answers, consumes and publishes.
//!
//! | module | what is in it |
//! |---|---|
//! | [`auth`] | register, sign in, go on, sign out; passwords |
//! | [`user`] | profiles and roles |
//! | [`address`] | stored addresses |
//! | [`signing_key`] | the keys of access tokens |
//! | `audit` | what must be so of all of these |
//! | `session` | sessions and their refresh tokens |
//!
//! Trap: an access token is believed until it expires. Signing out, or a new role, takes effect with the next token.

pub mod address;
pub(crate) mod audit;
pub mod auth;
pub(crate) mod schema;
pub(crate) mod session;
pub mod signing_key;
pub mod user;

use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::user::{GetAddress, GetSigningKeys, GetUserDetails, GrantRole, UserRegistered},
    database::Database,
    service::{Runtime, Service, StartError},
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
const HOURLY: Duration = Duration::from_secs(3600);

/// The service, as its list says.
pub fn service() -> Service<Users> {
    Service::new("user", "Accounts, sessions, tokens and addresses.", MIGRATIONS, Users::start)
        .http((auth::api::AuthApi, user::api::UserApi, address::api::AddressApi, signing_key::api::SigningKeyApi))
        .answer::<GetUserDetails, _>(user::details::get_user_details)
        .answer::<GrantRole, _>(user::grant_role::grant_role)
        .answer::<GetAddress, _>(address::details::get_address)
        .answer::<GetSigningKeys, _>(signing_key::get_signing_keys)
        .publishes::<UserRegistered>()
        .every("forget_dead_sessions", HOURLY, session::forget_dead)
        .audit(audit::audit)
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Users {
    pub(crate) database: Database,
    pub(crate) passwords: auth::password::Hasher,
    pub(crate) signer: signing_key::Signer,
}

impl Users {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        let passwords = auth::password::Hasher::new(&runtime.settings)?;
        let signer = signing_key::Signer::open(&runtime.database).await?;
        Ok(Self { database: runtime.database, passwords, signer })
    }
}
