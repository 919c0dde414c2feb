//! `svc.user.get_company_invitation_mail`: what the mail of an invitation says, for whoever sends it.
//!
//! Only here is a token made, and only the mail has it: events are kept for days, by many, and hold none.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, dsl::now};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::{
        Unknown,
        company::{CompanyInvitationMail, GetCompanyInvitationMail},
    },
    invoke::CallError,
    types::{CompanyId, Email, Locale, Name, UserId},
};

use crate::{
    Users,
    schema::{company, company_configuration, company_invitation},
    token::Token,
    user::Account,
};

/// The mail with the link to accept the invitation.
pub(crate) async fn get_company_invitation_mail(
    users: Users,
    question: GetCompanyInvitationMail,
) -> Result<CompanyInvitationMail, CallError<Unknown>> {
    let nothing = || CallError::Refused(Unknown::Unknown);
    let token = Token::random();
    let mut tx = users.database.begin().await?;
    let open = company_invitation::table
        .find(question.invitation_id)
        .filter(company_invitation::accepted_at.is_null())
        .filter(company_invitation::revoked_at.is_null())
        .filter(company_invitation::expires_at.gt(now));
    let written: Option<(CompanyId, Email, UserId)> = diesel::update(open)
        .set(company_invitation::token_hash.eq(token.hash().as_slice()))
        .returning((company_invitation::company_id, company_invitation::email, company_invitation::invited_by))
        .get_result(&mut tx)
        .await
        .optional()?;
    let (company_id, email, invited_by) = written.ok_or_else(nothing)?;
    let (company, locale): (Name, Locale) = company::table
        .inner_join(company_configuration::table)
        .filter(company::id.eq(company_id))
        .select((company::name, company_configuration::locale))
        .first(&mut tx)
        .await?;
    let inviter = Account::find(&mut tx, invited_by).await?.ok_or_else(nothing)?;
    let invited = Account::with_email(&mut tx, &email).await?;
    tx.commit().await?;
    Ok(CompanyInvitationMail {
        email,
        user_id: invited.as_ref().map(|account| account.id),
        locale: invited.as_ref().map_or(locale, |account| account.locale.clone()),
        name: invited.map(|account| account.name.into_string()),
        company: company.into_string(),
        inviter: inviter.name.into_string(),
        link: format!("/company-invitation#token={}", token.text().expose()),
    })
}
