//! `POST /v1/company-invitations/accept`: the link of a mail came back, from whoever it was sent to.

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, dsl::now, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    database::Tx,
    http::Created,
    problem::{Code, Problem},
    types::{CompanyId, CompanyRole, Email, InvitationId, Secret, UserId},
};
use poem_openapi::Object;
use serde::Deserialize;

use crate::{
    Users,
    company::{
        Company,
        member::{MOST, Member, no_such_company},
        view::CompanyView,
    },
    schema::{company_invitation, company_member},
    token::Token,
    user::Account,
};

// Not `Debug`: it holds a token.
/// What came with the mail.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct Acceptance {
    /// The one of the link.
    #[serde(deserialize_with = "Secret::deserialize")]
    token: Secret<String>,
}

/// Uses the token up, and makes the caller a member.
pub(crate) async fn accept(
    users: &Users,
    caller: UserId,
    acceptance: Acceptance,
) -> Result<Created<CompanyView>, Problem> {
    let token = Token::parse(&acceptance.token).ok_or_else(worthless)?;
    let hash = token.hash();
    let mut tx = users.database.begin().await?;
    let good = company_invitation::table.filter(
        company_invitation::token_hash
            .eq(hash.as_slice())
            .and(company_invitation::accepted_at.is_null())
            .and(company_invitation::revoked_at.is_null())
            .and(company_invitation::expires_at.gt(now)),
    );
    let found: Option<(InvitationId, CompanyId, Email, UserId)> = good
        .select((
            company_invitation::id,
            company_invitation::company_id,
            company_invitation::email,
            company_invitation::invited_by,
        ))
        .first(&mut tx)
        .await
        .optional()?;
    let (id, company_id, email, invited_by) = found.ok_or_else(worthless)?;
    is_meant(&mut tx, caller, &email).await?;
    let company = Company::lock(&mut tx, company_id).await?.ok_or_else(no_such_company)?;
    // Of two who come at once, one has it.
    let role: Option<CompanyRole> = diesel::update(good.filter(company_invitation::id.eq(id)))
        .set(company_invitation::accepted_at.eq(now))
        .returning(company_invitation::role)
        .get_result(&mut tx)
        .await
        .optional()?;
    let role = role.ok_or_else(worthless)?;
    // Whoever has gone, or may do less by now, brings nobody in.
    let inviter = match Member::locking(&mut tx, company_id, invited_by).await {
        Err(gone) if gone.code() == Code::NotFound => return Err(worthless()),
        found => found?,
    };
    inviter.at_least(CompanyRole::Admin).and_then(|inviter| inviter.may_grant(role)).map_err(|_| worthless())?;
    join(&mut tx, company_id, caller, role).await?;
    tx.commit().await?;
    tracing::info!(company = %company_id, member = %caller, %role, "an invitation was accepted");
    Ok(Created::new(format!("/v1/companies/{company_id}"), CompanyView::of(company, Some(role))))
}

/// The caller is known to read mail at the address that was invited.
async fn is_meant(tx: &mut Tx, caller: UserId, invited: &Email) -> Result<(), Problem> {
    let account = Account::find(tx, caller).await?.ok_or_else(|| Problem::not_found("user"))?;
    if !account.email.as_str().eq_ignore_ascii_case(invited.as_str()) {
        let detail =
            "This invitation was sent to another e-mail address than yours. Sign in with the account of that address.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    if account.email_verified_at.is_none() {
        let detail = "Verify your e-mail address first: a link for that was sent to you when you registered.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    Ok(())
}

async fn join(tx: &mut Tx, company: CompanyId, user: UserId, role: CompanyRole) -> Result<(), Problem> {
    let members = company_member::table.filter(company_member::company_id.eq(company));
    if members.count().get_result::<i64>(tx).await? >= MOST {
        return Err(Problem::new(Code::Conflict, format!("The company has {MOST} members already.")));
    }
    let joined = insert_into(company_member::table)
        .values((
            company_member::company_id.eq(company),
            company_member::user_id.eq(user),
            company_member::role.eq(role),
        ))
        .on_conflict_do_nothing()
        .execute(tx)
        .await?;
    if joined == 0 {
        return Err(Problem::new(Code::Conflict, "You are a member of this company already."));
    }
    Ok(())
}

/// One answer for unknown, expired, used, revoked and replaced.
fn worthless() -> Problem {
    Problem::invalid("/token", "This link is not valid, or not any more. Ask whoever invited you for a new one.")
}
