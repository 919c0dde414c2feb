//! One's own preferences.

use nats::{
    contracts::user::{EmailPreferences, Preferences},
    http::Body,
    identity::User,
    problem::Problem,
    types::{Currency, Locale},
};
use poem::web::Data;
use poem_openapi::{Object, OpenApi, Tags};
use serde::{Deserialize, Serialize};

use super::update::{self, PreferenceChanges};
use crate::{Users, user::Account};

#[derive(Tags)]
enum Tag {
    /// Who people are.
    Users,
}

/// What a person prefers.
#[derive(Clone, Serialize, Deserialize, Object)]
#[oai(rename = "Preferences")]
pub struct PreferencesView {
    /// The language they read.
    locale: Locale,
    /// What an order of theirs is paid in that does not say.
    currency: Currency,
    /// Which mails they want. Those that keep an account safe are sent to everybody.
    emails: EmailPreferences,
}

impl PreferencesView {
    pub(super) fn of(locale: Locale, Preferences { currency, emails }: Preferences) -> Self {
        Self { locale, currency, emails }
    }
}

/// The endpoints of preferences.
pub struct PreferenceApi;

#[OpenApi(prefix_path = "/v1/users/me/preferences", tag = "Tag::Users")]
impl PreferenceApi {
    /// Read one's own preferences
    ///
    /// Whoever never said anything has the defaults: euros, and every mail. A person who is gone is `not_found`.
    #[oai(path = "/", method = "get", operation_id = "get_preferences")]
    async fn get_preferences(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
    ) -> Result<Body<PreferencesView>, Problem> {
        let mut connection = users.database.connection().await?;
        let account = Account::find(&mut connection, identity.user).await?.ok_or_else(|| Problem::not_found("user"))?;
        let preferences = super::of(&mut connection, identity.user).await?;
        Ok(Body(PreferencesView::of(account.locale, preferences)))
    }

    /// Change one's own preferences
    ///
    /// Fields that are left out stay as they are. A person who is gone is `not_found`.
    #[oai(path = "/", method = "patch", operation_id = "update_preferences")]
    async fn update_preferences(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        Body(changes): Body<PreferenceChanges>,
    ) -> Result<Body<PreferencesView>, Problem> {
        Ok(Body(update::update_preferences(users, identity.user, changes).await?))
    }
}
