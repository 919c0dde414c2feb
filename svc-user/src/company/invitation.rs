//! Invitations: how one becomes a member.
//!
//! Whoever is invited gets a link by mail, which works once, for seven days, for a person whose verified address is the one
//! that was invited. The token in it is made when the mail is written (`mail`), and only its hash is kept.
//!
//! Trap: an invitation is a mail to a stranger, in our name, asked for by anyone who registers a company. So a company has
//! few before it is approved, an address gets few a day from all companies together, and each repeat has to wait longer.

pub(crate) mod accept;
pub mod api;
pub(crate) mod create;
pub(crate) mod mail;
pub(crate) mod resend;
pub(crate) mod revoke;

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, QueryDsl, Queryable, Selectable, dsl::sql, pg::Pg, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    database::DatabaseError,
    problem::{Code, Problem},
    types::{CompanyRole, Email, InvitationId, UserId},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::values::InvitationState;
use crate::{Users, schema::company_invitation};

/// A row of `company_invitation`, without the token's hash: only accepting reads that.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = company_invitation, check_for_backend(Pg))]
pub(crate) struct Invitation {
    pub(crate) id: InvitationId,
    pub(crate) email: Email,
    pub(crate) role: CompanyRole,
    pub(crate) invited_by: UserId,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) accepted_at: Option<DateTime<Utc>>,
    pub(crate) revoked_at: Option<DateTime<Utc>>,
}

/// An invitation to become a member of a company.
#[derive(Clone, Serialize, Deserialize, Object)]
pub struct CompanyInvitation {
    /// Names the invitation.
    id: InvitationId,
    /// Where its mail goes.
    email: Email,
    /// What whoever accepts it may do.
    role: CompanyRole,
    /// How far it is.
    state: InvitationState,
    /// Who invites.
    invited_by: UserId,
    /// When they did.
    created_at: DateTime<Utc>,
    /// Until when it can be accepted.
    expires_at: DateTime<Utc>,
}

impl From<Invitation> for CompanyInvitation {
    fn from(row: Invitation) -> Self {
        let state = match (row.accepted_at, row.revoked_at) {
            (Some(_), _) => InvitationState::Accepted,
            (None, Some(_)) => InvitationState::Revoked,
            // To be looked at; what counts is the database's clock.
            (None, None) if row.expires_at <= Utc::now() => InvitationState::Expired,
            (None, None) => InvitationState::Open,
        };
        let Invitation { id, email, role, invited_by, created_at, expires_at, .. } = row;
        Self { id, email, role, state, invited_by, created_at, expires_at }
    }
}

/// One answer for an invitation that does not exist and one of another company.
fn no_such_invitation() -> Problem {
    Problem::not_found("invitation")
}

/// It was accepted or revoked.
fn over() -> Problem {
    Problem::new(Code::Conflict, "This invitation is over: it was accepted or revoked.")
}

/// Deletes invitations that nobody can accept any more, a month later: they hold addresses of people who may have no account.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_invitations(users: Users) -> Result<(), DatabaseError> {
    let mut connection = users.database.connection().await?;
    let a_month_ago = sql::<sql_types::Timestamptz>("now() - interval '30 days'");
    let old = company_invitation::table.filter(company_invitation::expires_at.lt(a_month_ago));
    let forgotten = diesel::delete(old).execute(&mut connection).await?;
    tracing::debug!(forgotten, "old invitations are deleted");
    Ok(())
}
