//! What staff decides about companies.
//!
//! | operation | from | to |
//! |---|---|---|
//! | `POST /v1/companies/{id}/approve` | pending, rejected, suspended | active, once every required document is accepted |
//! | `POST /v1/companies/{id}/reject` | pending | rejected |
//! | `POST /v1/companies/{id}/suspend` | active | suspended |

use diesel::{ExpressionMethods, QueryDsl, QueryableByName, SelectableHelper, dsl::now, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::sql,
    problem::{Code, Problem},
    types::{CompanyId, UserId},
};
use poem_openapi::Object;
use serde::Deserialize;

use super::{
    Company,
    member::{no_such_company, role_of},
    values::{CompanyStatus, Reason},
    version,
    view::CompanyView,
};
use crate::{Users, schema::company};

/// Why not.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct Refusal {
    /// For those it is about.
    pub(crate) reason: Reason,
}

/// What is decided.
pub(crate) enum Decision {
    Approve,
    Reject(Reason),
    Suspend(Reason),
}

impl Decision {
    /// Where it leads from there, if it does.
    fn from(&self, status: CompanyStatus) -> Option<CompanyStatus> {
        use CompanyStatus::{Active, Pending, Rejected, Suspended};
        match (self, status) {
            (Self::Approve, Pending | Rejected | Suspended) => Some(Active),
            (Self::Reject(_), Pending) => Some(Rejected),
            (Self::Suspend(_), Active) => Some(Suspended),
            _ => None,
        }
    }

    fn reason(self) -> Option<Reason> {
        match self {
            Self::Approve => None,
            Self::Reject(reason) | Self::Suspend(reason) => Some(reason),
        }
    }
}

/// Decides, if the company is still what `if_match` says; with its version afterwards.
pub(crate) async fn decide(
    users: &Users,
    (staff, id): (UserId, CompanyId),
    if_match: Option<&str>,
    decision: Decision,
) -> Result<(CompanyView, i64), Problem> {
    let mut tx = users.database.begin().await?;
    let before = Company::lock(&mut tx, id).await?.ok_or_else(no_such_company)?;
    version::check(if_match, before.version)?;
    let impossible =
        || Problem::new(Code::Conflict, format!("The company is {}; this is not possible now.", before.status));
    let status = decision.from(before.status).ok_or_else(impossible)?;
    if status == CompanyStatus::Active {
        has_shown_all(&mut tx, &before).await?;
    }
    let company: Company = diesel::update(company::table.find(id))
        .set((
            company::status.eq(status),
            company::status_reason.eq(decision.reason()),
            company::version.eq(before.version + 1),
            company::updated_at.eq(now),
        ))
        .returning(Company::as_returning())
        .get_result(&mut tx)
        .await?;
    let role = role_of(&mut tx, id, staff).await?;
    tx.commit().await?;
    tracing::info!(company = %id, %status, by = %staff, "a company was decided about");
    let version = company.version;
    Ok((CompanyView::of(company, role), version))
}

/// Every document that companies of its country have to show was accepted, and is still good.
async fn has_shown_all(connection: &mut AsyncPgConnection, company: &Company) -> Result<(), Problem> {
    #[derive(QueryableByName)]
    struct Missing {
        #[diesel(sql_type = sql_types::Text)]
        name: String,
    }
    let missing: Vec<Missing> = sql("select name from document_type as type
         where required and retired_at is null and (countries = '{}' or $2 = any(countries))
           and not exists (select from company_document
                           where company_id = $1 and document_type_id = type.id and state = 'accepted'
                             and (expires_at is null or expires_at > now()))
         order by name limit 20")
    .bind::<sql_types::Uuid, _>(company.id)
    .bind::<sql_types::Text, _>(company.address.country)
    .load(connection)
    .await?;
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|missing| missing.name.as_str()).collect();
    let detail = format!("These documents are required, and none that is good was accepted: {}.", names.join(", "));
    Err(Problem::new(Code::Conflict, detail))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_company_moves_as_the_table_says() {
        use CompanyStatus::{Active, Pending, Rejected, Suspended};
        let reason = || "It is not in the register.".parse().unwrap();
        for (decision, leads) in [
            (Decision::Approve, [Some(Active), None, Some(Active), Some(Active)]),
            (Decision::Reject(reason()), [Some(Rejected), None, None, None]),
            (Decision::Suspend(reason()), [None, Some(Suspended), None, None]),
        ] {
            assert_eq!([Pending, Active, Rejected, Suspended].map(|status| decision.from(status)), leads);
        }
    }
}
