//! `POST /v1/companies/{id}/invitations`: somebody is to become a member.

use std::time::Duration;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, QueryDsl, SelectableHelper,
    dsl::{exists, now, sql},
    insert_into, sql_types,
};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::company::CompanyInvitationRequested,
    database::Tx,
    http::Created,
    idempotency::{Claim, IdempotencyKey, claim},
    problem::{Code, Problem},
    types::{CompanyId, CompanyRole, Email, InvitationId, UserId},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{CompanyInvitation, Invitation};
use crate::{
    Users,
    company::{
        Company,
        member::{Member, no_such_company},
        values::CompanyStatus,
    },
    schema::{company_invitation, company_member, lower, user},
};

/// How many people an approved company may invite in a day.
const MOST: i64 = 100;
/// How many another one may.
const MOST_UNAPPROVED: i64 = 5;
/// How many invitations an address gets in a day, from all companies together.
const MOST_FOR_ONE: i64 = 5;
/// After how long it may be tried again.
const WAIT: Duration = Duration::from_secs(3600);

/// Who is to be invited.
#[derive(Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewInvitation {
    /// Where the mail goes.
    email: Email,
    /// What whoever accepts it may do.
    role: CompanyRole,
}

/// The invitation and the wish for its mail commit together.
pub(crate) async fn create(
    users: &Users,
    (caller, company): (UserId, CompanyId),
    key: Option<IdempotencyKey>,
    new: NewInvitation,
) -> Result<Created<CompanyInvitation>, Problem> {
    let mut tx = users.database.begin().await?;
    let slot = match claim(&mut tx, &caller, "create_company_invitation", key, &(company, &new)).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok(Created { location, body, replayed: true }),
    };
    let caller = Member::locking(&mut tx, company, caller).await?.at_least(CompanyRole::Admin)?;
    caller.may_grant(new.role)?;
    is_no_member(&mut tx, company, &new.email).await?;
    not_too_many(&mut tx, company, &new.email).await?;
    let id = InvitationId::new();
    make_room(&mut tx, company, &new.email).await?;
    let invitation: Invitation = insert_into(company_invitation::table)
        .values((
            company_invitation::id.eq(id),
            company_invitation::company_id.eq(company),
            company_invitation::email.eq(&new.email),
            company_invitation::role.eq(new.role),
            company_invitation::invited_by.eq(caller.user),
        ))
        .returning(Invitation::as_returning())
        .get_result(&mut tx)
        .await?;
    tx.record(&CompanyInvitationRequested { company_id: company, invitation_id: id }).await?;
    let location = format!("/v1/companies/{company}/invitations/{id}");
    let body = CompanyInvitation::from(invitation);
    slot.store(&mut tx, 201, &location, &body).await?;
    tx.commit().await?;
    Ok(Created::new(location, body))
}

async fn is_no_member(tx: &mut Tx, company: CompanyId, email: &Email) -> Result<(), Problem> {
    let member = company_member::table
        .inner_join(user::table)
        .filter(company_member::company_id.eq(company))
        .filter(lower(user::email).eq(lower(email.as_str())));
    if diesel::select(exists(member)).get_result(tx).await? {
        let problem = Problem::new(Code::Conflict, "Whoever has this address is a member already.");
        return Err(problem.at("/email", "this is a member's address"));
    }
    Ok(())
}

/// An open invitation of this address is in the way, unless it has expired.
async fn make_room(tx: &mut Tx, company: CompanyId, email: &Email) -> Result<(), Problem> {
    let open = company_invitation::table.filter(
        company_invitation::company_id
            .eq(company)
            .and(lower(company_invitation::email).eq(lower(email.as_str())))
            .and(company_invitation::accepted_at.is_null())
            .and(company_invitation::revoked_at.is_null()),
    );
    if diesel::select(exists(open.filter(company_invitation::expires_at.gt(now)))).get_result(tx).await? {
        let detail = "This address was invited already. Send that invitation again, or revoke it first.";
        return Err(Problem::new(Code::Conflict, detail).at("/email", "it has an open invitation"));
    }
    diesel::update(open).set(company_invitation::revoked_at.eq(now)).execute(tx).await?;
    Ok(())
}

async fn not_too_many(tx: &mut Tx, company: CompanyId, email: &Email) -> Result<(), Problem> {
    let a_day_ago = || sql::<sql_types::Timestamptz>("now() - interval '1 day'");
    let of_late = || company_invitation::table.filter(company_invitation::created_at.gt(a_day_ago()));
    let most = match Company::lock(tx, company).await?.ok_or_else(no_such_company)?.status {
        CompanyStatus::Active => MOST,
        CompanyStatus::Pending | CompanyStatus::Rejected | CompanyStatus::Suspended => MOST_UNAPPROVED,
    };
    let sent: i64 = of_late().filter(company_invitation::company_id.eq(company)).count().get_result(tx).await?;
    if sent >= most {
        let detail = format!("The company has invited {sent} people within a day; it may invite {most}.");
        return Err(Problem::too_many_requests(detail, WAIT));
    }
    let got: i64 =
        of_late().filter(lower(company_invitation::email).eq(lower(email.as_str()))).count().get_result(tx).await?;
    if got >= MOST_FOR_ONE {
        let detail = "This address was invited often enough for a day.";
        return Err(Problem::too_many_requests(detail, WAIT));
    }
    Ok(())
}
