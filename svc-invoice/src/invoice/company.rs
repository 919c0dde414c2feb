//! Invoices that were made out to companies: their members read them as well.
//!
//! svc-user knows who is a member, and is asked for invoices of companies alone.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::{Unknown, company::GetCompanyMembership},
    database::{DatabaseError, Tx},
    identity::{Identity, Permission},
    invoke::CallError,
    problem::Problem,
    types::{CompanyId, InvoiceId, UserId},
};

use super::Invoice;
use crate::{Invoices, schema::invoice_company};

/// Notes whose books the invoice belongs in.
pub(crate) async fn note(tx: &mut Tx, invoice: InvoiceId, company: CompanyId) -> Result<(), DatabaseError> {
    insert_into(invoice_company::table)
        .values((invoice_company::invoice_id.eq(invoice), invoice_company::company_id.eq(company)))
        .execute(tx)
        .await?;
    Ok(())
}

/// Whether this is one's own invoice, one of a company that one is in, or anyone's whose one may read.
///
/// # Errors
/// `unavailable` or `timeout` when svc-user is needed and away.
pub(crate) async fn may_read(invoices: &Invoices, identity: &Identity, invoice: &Invoice) -> Result<bool, Problem> {
    if identity.reaches(invoice.user_id, Permission::InvoicesRead) {
        return Ok(true);
    }
    let company: Option<CompanyId> = {
        let mut connection = invoices.database.connection().await?;
        let row = invoice_company::table.find(invoice.id);
        row.select(invoice_company::company_id).first(&mut connection).await.optional()?
    };
    match company {
        Some(company) => is_member(invoices, company, identity.user).await,
        None => Ok(false),
    }
}

/// Lets through who may read all invoices of a company: its members, and whoever may read everyone's.
///
/// # Errors
/// `not_found`, whether there is no such company or it is not theirs; as [`may_read`].
pub(crate) async fn may_list(invoices: &Invoices, identity: &Identity, company: CompanyId) -> Result<(), Problem> {
    if identity.holds(Permission::InvoicesRead) || is_member(invoices, company, identity.user).await? {
        return Ok(());
    }
    Err(Problem::not_found("company"))
}

async fn is_member(invoices: &Invoices, company_id: CompanyId, user_id: UserId) -> Result<bool, Problem> {
    match invoices.calls.call(&GetCompanyMembership { company_id, user_id }).await {
        Ok(_membership) => Ok(true),
        Err(CallError::Refused(Unknown::Unknown)) => Ok(false),
        Err(other) => Err(other.problem(|Unknown::Unknown| Problem::not_found("company"))),
    }
}
