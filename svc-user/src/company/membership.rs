//! `svc.user.get_company_membership`: what somebody may do in a company, for whoever acts for both.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::{
        Unknown,
        company::{CompanyBuyer, CompanyMembership, GetCompanyMembership},
    },
    invoke::CallError,
    types::CompanyRole,
};

use super::{Company, configuration::Configuration, values::CompanyStatus};
use crate::{
    Users,
    schema::{company, company_configuration, company_member},
};

/// The membership, with the terms that the company orders on.
pub(crate) async fn get_company_membership(
    users: Users,
    question: GetCompanyMembership,
) -> Result<CompanyMembership, CallError<Unknown>> {
    let mut connection = users.database.connection().await?;
    let found: Option<(CompanyRole, Company, Configuration)> = company_member::table
        .inner_join(company::table.inner_join(company_configuration::table))
        .filter(company_member::company_id.eq(question.company_id))
        .filter(company_member::user_id.eq(question.user_id))
        .select((company_member::role, Company::as_select(), Configuration::as_select()))
        .first(&mut connection)
        .await
        .optional()?;
    let (role, company, configuration) = found.ok_or(CallError::Refused(Unknown::Unknown))?;
    Ok(CompanyMembership {
        company_id: company.id,
        role,
        active: company.status == CompanyStatus::Active,
        currency: configuration.currency,
        purchase_order_required: configuration.purchase_order_required,
        spending_limit: configuration.spending_limit(),
        buyer: CompanyBuyer {
            name: company.legal_name.unwrap_or(company.name),
            vat_id: company.vat_id,
            registration_number: company.registration_number,
            email: configuration.invoice_email.unwrap_or(company.email),
            locale: configuration.locale,
            address: company.address,
        },
    })
}
