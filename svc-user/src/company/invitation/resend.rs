//! `POST /v1/companies/{id}/invitations/{invitation_id}/resend`: another mail, which ends the link of the one before.

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryableByName, SelectableHelper, dsl::sql, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::company::CompanyInvitationRequested,
    database::{self, Tx},
    problem::Problem,
    types::{CompanyId, CompanyRole, InvitationId, UserId},
};

use super::{CompanyInvitation, Invitation, no_such_invitation, over};
use crate::{Users, company::member::Member, schema::company_invitation};

/// Records that the mail is wanted, and begins the seven days anew. After each there is a pause: two minutes, and after each
/// further one twice as long, up to a day.
pub(crate) async fn resend(
    users: &Users,
    (caller, company): (UserId, CompanyId),
    id: InvitationId,
) -> Result<CompanyInvitation, Problem> {
    let mut tx = users.database.begin().await?;
    let caller = Member::locking(&mut tx, company, caller).await?.at_least(CompanyRole::Admin)?;
    let theirs = company_invitation::table.find(id).filter(company_invitation::company_id.eq(company));
    let before: Option<Invitation> = theirs.select(Invitation::as_select()).first(&mut tx).await.optional()?;
    let before = before.ok_or_else(no_such_invitation)?;
    caller.may_grant(before.role)?;
    if before.accepted_at.is_some() || before.revoked_at.is_some() {
        return Err(over());
    }
    if let Some(left) = pause(&mut tx, id).await? {
        let detail = "A mail was sent a moment ago. Wait until `Retry-After` is over, then try again.";
        return Err(Problem::too_many_requests(detail, left));
    }
    let later = |text: &'static str| sql::<sql_types::Timestamptz>(text);
    let invitation: Invitation = diesel::update(company_invitation::table.find(id))
        .set((
            company_invitation::mails.eq(company_invitation::mails + 1),
            company_invitation::next_mail_at
                .eq(later("now() + least(power(2, least(mails, 11)), 1440) * interval '1 minute'")),
            company_invitation::expires_at.eq(later("now() + interval '7 days'")),
        ))
        .returning(Invitation::as_returning())
        .get_result(&mut tx)
        .await?;
    tx.record(&CompanyInvitationRequested { company_id: company, invitation_id: id }).await?;
    tx.commit().await?;
    Ok(invitation.into())
}

/// How much is left of the pause after the last mail.
async fn pause(tx: &mut Tx, id: InvitationId) -> Result<Option<Duration>, Problem> {
    #[derive(QueryableByName)]
    struct Left {
        #[diesel(sql_type = sql_types::BigInt)]
        ms: i64,
    }
    let Left { ms } = database::sql(
        "select ceil(extract(epoch from next_mail_at - now()) * 1000)::bigint as ms from company_invitation where id = $1",
    )
    .bind::<sql_types::Uuid, _>(id)
    .get_result(tx)
    .await?;
    Ok(u64::try_from(ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis))
}
