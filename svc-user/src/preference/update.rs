//! `PATCH /v1/users/me/preferences`: what is said is changed, the rest stays.

use diesel::{ExpressionMethods, QueryDsl, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    problem::Problem,
    types::{Currency, Locale, UserId},
};
use poem_openapi::Object;
use serde::Deserialize;

use super::api::PreferencesView;
use crate::{Users, schema::user, user::Account};

/// What to change of one's preferences; what is left out stays.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct PreferenceChanges {
    /// The language they read.
    locale: Option<Locale>,
    /// What an order of theirs is paid in that does not say.
    currency: Option<Currency>,
    /// Which mails they want.
    emails: Option<EmailPreferenceChanges>,
}

/// Which mails are wanted from now on, and which not any more; what is left out stays.
#[derive(Default, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct EmailPreferenceChanges {
    /// What becomes of their orders.
    orders: Option<bool>,
    /// That an invoice is there, with a link to it.
    invoices: Option<bool>,
}

/// Writes what was said, in one transaction with the profile's language.
pub(super) async fn update_preferences(
    users: &Users,
    user_id: UserId,
    changes: PreferenceChanges,
) -> Result<PreferencesView, Problem> {
    let mut tx = users.database.begin().await?;
    Account::lock(&mut tx, user_id).await?.ok_or_else(|| Problem::not_found("user"))?;
    if let Some(locale) = changes.locale {
        diesel::update(user::table.find(user_id))
            .set((user::locale.eq(locale), user::updated_at.eq(diesel::dsl::now)))
            .execute(&mut tx)
            .await?;
    }
    let emails = changes.emails.unwrap_or_default();
    diesel::sql_query(
        "insert into preference (user_id, currency, order_emails, invoice_emails)
         values ($1, coalesce($2, 'EUR'), coalesce($3, true), coalesce($4, true))
         on conflict (user_id) do update
         set currency = coalesce($2, preference.currency), order_emails = coalesce($3, preference.order_emails),
             invoice_emails = coalesce($4, preference.invoice_emails), updated_at = now()",
    )
    .bind::<sql_types::Uuid, _>(user_id)
    .bind::<sql_types::Nullable<sql_types::Text>, _>(changes.currency)
    .bind::<sql_types::Nullable<sql_types::Bool>, _>(emails.orders)
    .bind::<sql_types::Nullable<sql_types::Bool>, _>(emails.invoices)
    .execute(&mut tx)
    .await?;
    let account = Account::find(&mut tx, user_id).await?.ok_or_else(|| Problem::not_found("user"))?;
    let preferences = super::of(&mut tx, user_id).await?;
    tx.commit().await?;
    Ok(PreferencesView::of(account.locale, preferences))
}
