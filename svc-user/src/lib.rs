//! Users: who people are, how they sign in, and where they live.
//!
//! The list in [`service`] is everything this service serves, answers, consumes and publishes.
//!
//! | module | what is in it |
//! |---|---|
//! | [`auth`] | register, sign in, go on, sign out; passwords, links in mails, how often one may try |
//! | [`session`] | sessions and their refresh tokens |
//! | [`user`] | profiles |
//! | [`role`] | what people may do |
//! | [`external_identity`] | whom other providers know people as |
//! | [`preference`] | what people want of us |
//! | [`address`] | stored addresses, and how they are written in each country |
//! | [`company`] | companies, their members, invitations and documents |
//! | [`api_key`] | what people's programs sign in with |
//! | [`signing_key`] | the keys of access tokens |
//! | [`trail`] | who did what |
//! | `audit` | what must be so of all of these |
//! | `token` | what we hand out and keep no copy of |
//!
//! Trap: an access token is believed until it expires, unless whoever believes it hears that its session has ended, or that
//! what its owner may do has changed.

pub mod address;
pub mod api_key;
pub(crate) mod audit;
pub mod auth;
pub mod company;
pub mod external_identity;
pub mod preference;
pub mod role;
pub(crate) mod schema;
pub mod session;
pub mod signing_key;
pub(crate) mod token;
pub mod trail;
pub mod user;

use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::trail::{RecordTrail, TrailRecorded},
    contracts::user::company::{
        COMPANY_DOCUMENTS, CompanyInvitationRequested, GetCompanyInvitationMail, GetCompanyMembership,
    },
    contracts::user::{
        GetAddress, GetEmailVerificationMail, GetPasswordResetMail, GetSigningKeys, GetUserDetails, GrantRole,
        RoleChanged, RotateSigningKeys, UserApiKeyRevoked, UserEmailVerificationRequested, UserPasswordResetRequested,
        UserRegistered, UserRolesChanged, UserSessionEnded, VerifyApiKey,
    },
    database::Database,
    objects::Objects,
    service::{Runtime, Service, StartError},
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
const HOURLY: Duration = Duration::from_secs(3600);
const MINUTES_10: Duration = Duration::from_secs(600);
const SECONDS_10: Duration = Duration::from_secs(10);

/// The service, as its list says.
pub fn service() -> Service<Users> {
    let api = (
        auth::api::AuthApi,
        auth::google::api::GoogleApi,
        external_identity::api::ExternalIdentityApi,
        session::api::SessionApi,
        user::api::UserApi,
        role::api::RoleApi,
        preference::api::PreferenceApi,
        address::api::AddressApi,
        address::format::AddressFormatApi,
        api_key::api::ApiKeyApi,
        signing_key::api::SigningKeyApi,
        trail::api::TrailApi,
        (
            company::api::CompanyApi,
            company::configuration::api::ConfigurationApi,
            company::member::api::MemberApi,
            company::invitation::api::InvitationApi,
            company::document_type::api::DocumentTypeApi,
            company::document::api::DocumentApi,
        ),
    );
    Service::new("user", "Accounts, sessions, tokens, addresses and companies.", MIGRATIONS, Users::start)
        .http(api)
        .answer::<GetUserDetails, _>(user::details::get_user_details)
        .answer::<GrantRole, _>(user::grant_role::grant_role)
        .answer::<GetAddress, _>(address::details::get_address)
        .answer::<GetPasswordResetMail, _>(auth::account_mail::get_password_reset_mail)
        .answer::<GetEmailVerificationMail, _>(auth::account_mail::get_email_verification_mail)
        .answer::<VerifyApiKey, _>(api_key::verify::verify_api_key)
        .answer::<GetSigningKeys, _>(signing_key::get_signing_keys)
        .answer::<RotateSigningKeys, _>(signing_key::rotate::rotate_signing_keys)
        .answer::<GetCompanyMembership, _>(company::membership::get_company_membership)
        .answer::<GetCompanyInvitationMail, _>(company::invitation::mail::get_company_invitation_mail)
        .answer::<RecordTrail, _>(trail::record::record_trail)
        .consume::<TrailRecorded, _>("keep-trail", trail::record::take_trail)
        .publishes::<UserRegistered>()
        .publishes::<UserEmailVerificationRequested>()
        .publishes::<UserPasswordResetRequested>()
        .publishes::<UserSessionEnded>()
        .publishes::<UserApiKeyRevoked>()
        .publishes::<UserRolesChanged>()
        .publishes::<RoleChanged>()
        .publishes::<CompanyInvitationRequested>()
        .bucket(COMPANY_DOCUMENTS, true)
        .every("follow_signing_keys", SECONDS_10, signing_key::signer::follow_signing_keys)
        .every("forget_dead_sessions", HOURLY, session::forget_dead)
        .every("forget_attempts", HOURLY, auth::attempts::forget_attempts)
        .every("forget_mail_tokens", HOURLY, auth::mail_token::forget_mail_tokens)
        .every("forget_external_sign_ins", MINUTES_10, auth::google::forget_external_sign_ins)
        .every("forget_api_keys", HOURLY, api_key::forget_api_keys)
        .every("forget_retired_keys", HOURLY, signing_key::forget_retired_keys)
        .every("forget_invitations", HOURLY, company::invitation::forget_invitations)
        .every("keep_trail", HOURLY, trail::keep_trail)
        .audit(audit::audit)
}

/// What every function of this service has at hand.
#[derive(Clone)]
pub struct Users {
    pub(crate) database: Database,
    pub(crate) objects: Objects,
    pub(crate) passwords: auth::password::Hasher,
    pub(crate) google: auth::google::Google,
    pub(crate) signer: signing_key::signer::Signer,
    /// How long a new signing key is published before it signs, in seconds.
    pub(crate) key_lead_s: u32,
}

impl Users {
    async fn start(runtime: Runtime) -> Result<Self, StartError> {
        let passwords = auth::password::Hasher::new(&runtime.settings)?;
        let google = auth::google::Google::new(&runtime.settings)?;
        let key_lead_s = signing_key::rotate::lead(&runtime.settings)?;
        let signer = signing_key::signer::Signer::open(&runtime.database).await?;
        Ok(Self { database: runtime.database, objects: runtime.objects, passwords, google, signer, key_lead_s })
    }
}
