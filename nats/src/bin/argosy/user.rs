//! `argosy user …`: what svc-user does for the operator.

use nats::{
    config::Settings,
    connect::connect,
    contracts::user::{CannotGrant, GrantRole, RotateSigningKeys},
    identity::Role,
    invoke::{CallError, Caller},
    topology::OPERATOR,
};

use crate::{say, text};

/// Gives a registered person a role.
pub(crate) async fn grant(settings: &Settings, email: &str, role: &str) -> Result<(), String> {
    let question = GrantRole { email: email.parse().map_err(text)?, role: role.parse::<Role>().map_err(text)? };
    let granted = caller(settings).await?.call(&question).await.map_err(|error| match error {
        CallError::Refused(CannotGrant::UnknownUser) => format!("nobody is registered as {email}"),
        CallError::Refused(CannotGrant::UnknownRole) => format!("there is no role {role}"),
        CallError::Refused(CannotGrant::TooManyRoles) => format!("{email} has as many roles as one can have"),
        other => other.to_string(),
    })?;
    say(&format!("{} has the role {role}", granted.user_id))
}

/// Has access tokens signed with a new key.
pub(crate) async fn rotate_keys(settings: &Settings) -> Result<(), String> {
    let rotated = caller(settings).await?.call(&RotateSigningKeys {}).await.map_err(text)?;
    say(&format!("{} is published, and signs from {} on", rotated.kid, rotated.signs_from.to_rfc3339()))?;
    say(&format!("the keys before it are published until {}", rotated.others_until.to_rfc3339()))
}

async fn caller(settings: &Settings) -> Result<Caller, String> {
    connect(settings, OPERATOR).await.map(Caller::new).map_err(text)
}
