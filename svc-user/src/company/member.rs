//! Members: who may do what in a company.
//!
//! | role | may |
//! |---|---|
//! | `viewer` | read the company, its configuration, its members and its orders |
//! | `buyer` | order for it as well, up to its spending limit |
//! | `admin` | order without limit, change the company and its configuration, invite, see to members and documents |
//! | `owner` | make and unmake owners as well |
//!
//! A company has an owner at every moment.

pub mod api;
pub(crate) mod change_role;
pub(crate) mod remove;

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, dsl::exists};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::{DatabaseError, Tx},
    identity::{CompaniesRead, OwnerOr},
    problem::{Code, Problem},
    types::{CompanyId, CompanyRole, UserId},
};

use crate::schema::{company, company_member};

/// How many members a company has at most.
pub(crate) const MOST: i64 = 500;

/// Somebody in a company: the only way in to what is the company's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) user: UserId,
    pub(crate) role: CompanyRole,
}

impl Member {
    /// The member of this company that this person is.
    ///
    /// # Errors
    /// `not_found`, whether there is no such company or it is not theirs.
    pub(crate) async fn of(
        connection: &mut AsyncPgConnection,
        company: CompanyId,
        user: UserId,
    ) -> Result<Self, Problem> {
        let role = role_of(connection, company, user).await?.ok_or_else(no_such_company)?;
        Ok(Self { user, role })
    }

    /// As [`Member::of`], and nobody else changes anything of the company until the transaction ends.
    ///
    /// # Errors
    /// As [`Member::of`].
    pub(crate) async fn locking(tx: &mut Tx, company: CompanyId, user: UserId) -> Result<Self, Problem> {
        // Strangers lock nothing. The company's row comes before its members', for everyone.
        let theirs = company::table.find(company).filter(exists(company_member::table.find((company, user))));
        let locked: Option<CompanyId> = theirs.select(company::id).for_no_key_update().first(tx).await.optional()?;
        locked.ok_or_else(no_such_company)?;
        // Only now: whoever had the lock before may have changed it.
        Self::of(tx, company, user).await
    }

    /// The member, if their role is this one or more.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn at_least(self, role: CompanyRole) -> Result<Self, Problem> {
        if self.role >= role {
            return Ok(self);
        }
        let detail = format!("This needs the role {role} in the company; yours is {}.", self.role);
        Err(Problem::new(Code::Forbidden, detail))
    }

    /// Whether they may make somebody with this role, or unmake them.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn may_grant(self, role: CompanyRole) -> Result<(), Problem> {
        if role < CompanyRole::Owner || self.role == CompanyRole::Owner {
            return Ok(());
        }
        Err(Problem::new(Code::Forbidden, "Only owners of the company make and unmake owners."))
    }
}

/// Lets through who may read what is the company's: its members from this role on, and whoever may read all companies.
///
/// # Errors
/// `not_found` for strangers, `forbidden` for members with less.
pub(crate) async fn may_read(
    connection: &mut AsyncPgConnection,
    company: CompanyId,
    caller: &OwnerOr<CompaniesRead>,
    role: CompanyRole,
) -> Result<(), Problem> {
    if !caller.reaches_all() {
        return Member::of(connection, company, caller.identity().user).await?.at_least(role).map(drop);
    }
    let there: bool = diesel::select(exists(company::table.find(company))).get_result(connection).await?;
    if there { Ok(()) } else { Err(no_such_company()) }
}

/// What somebody may do in a company; `None` when they are no member.
pub(crate) async fn role_of(
    connection: &mut AsyncPgConnection,
    company: CompanyId,
    user: UserId,
) -> Result<Option<CompanyRole>, DatabaseError> {
    let row = company_member::table.find((company, user));
    Ok(row.select(company_member::role).first(connection).await.optional()?)
}

/// One answer for a company that does not exist and one that is not the caller's.
pub(crate) fn no_such_company() -> Problem {
    Problem::not_found("company")
}

/// Whether the company has an owner besides this person. Hold the company's lock.
async fn is_owned_by_others(tx: &mut Tx, company: CompanyId, user: UserId) -> Result<bool, DatabaseError> {
    let others = company_member::company_id
        .eq(company)
        .and(company_member::user_id.ne(user))
        .and(company_member::role.eq(CompanyRole::Owner));
    Ok(diesel::select(exists(company_member::table.filter(others))).get_result(tx).await?)
}

/// The last owner stays.
async fn not_the_last_owner(tx: &mut Tx, company: CompanyId, user: UserId) -> Result<(), Problem> {
    if is_owned_by_others(tx, company, user).await? {
        return Ok(());
    }
    Err(Problem::new(Code::Conflict, "A company has an owner at every moment. Make somebody else an owner first."))
}
