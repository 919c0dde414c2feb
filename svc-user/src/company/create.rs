//! `POST /v1/companies`: somebody registers a company, and is its owner.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    http::Created,
    idempotency::{Claim, IdempotencyKey, claim},
    problem::{Code, Problem},
    types::{Address, CompanyId, CompanyRole, Email, Eori, Name, Text, UserId, VatId, postal},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{Company, view::CompanyView};
use crate::{
    Users,
    schema::{company, company_configuration, company_member},
    user::Account,
};

/// How many companies a person may own.
pub(crate) const MOST: i64 = 20;

/// A company that is to be registered.
#[derive(Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewCompany {
    /// What it is called.
    name: Name,
    /// What it is called in the register, when that is something else.
    legal_name: Option<Name>,
    /// Its VAT identifier, in the form of its country.
    vat_id: Option<VatId>,
    /// Its entry in the commercial register.
    registration_number: Option<Text<1, 100>>,
    /// Who it is to customs.
    eori: Option<Eori>,
    /// Where mail to it goes.
    email: Email,
    /// In any notation.
    phone: Option<Text<1, 32>>,
    /// Where it is.
    address: Address,
}

/// Company, configuration and owner are written together.
pub(crate) async fn create(
    users: &Users,
    owner: UserId,
    key: Option<IdempotencyKey>,
    new: NewCompany,
) -> Result<Created<CompanyView>, Problem> {
    postal::check(&new.address, "/address")?;
    let mut tx = users.database.begin().await?;
    let slot = match claim(&mut tx, &owner, "create_company", key, &new).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok(Created { location, body, replayed: true }),
    };
    // The owner's row is locked, else two requests at once would both see room for one more.
    Account::lock(&mut tx, owner).await?.ok_or_else(|| Problem::not_found("user"))?;
    let account = Account::find(&mut tx, owner).await?.ok_or_else(|| Problem::not_found("user"))?;
    let owned = company_member::table
        .filter(company_member::user_id.eq(owner))
        .filter(company_member::role.eq(CompanyRole::Owner));
    if owned.count().get_result::<i64>(&mut tx).await? >= MOST {
        return Err(Problem::new(Code::Conflict, format!("You own {MOST} companies already.")));
    }
    let id = CompanyId::new();
    let NewCompany { name, legal_name, vat_id, registration_number, eori, email, phone, address } = new;
    let company: Company = insert_into(company::table)
        .values((
            company::id.eq(id),
            company::name.eq(name),
            company::legal_name.eq(legal_name),
            company::vat_id.eq(vat_id),
            company::registration_number.eq(registration_number),
            company::eori.eq(eori),
            company::email.eq(email),
            company::phone.eq(phone),
            company::address.eq(address),
        ))
        .returning(Company::as_returning())
        .get_result(&mut tx)
        .await?;
    insert_into(company_configuration::table)
        .values((company_configuration::company_id.eq(id), company_configuration::locale.eq(account.locale)))
        .execute(&mut tx)
        .await?;
    insert_into(company_member::table)
        .values((
            company_member::company_id.eq(id),
            company_member::user_id.eq(owner),
            company_member::role.eq(CompanyRole::Owner),
        ))
        .execute(&mut tx)
        .await?;
    let (location, body) = (format!("/v1/companies/{id}"), CompanyView::of(company, Some(CompanyRole::Owner)));
    slot.store(&mut tx, 201, &location, &body).await?;
    tx.commit().await?;
    tracing::info!(company = %body.id(), %owner, "a company was registered");
    Ok(Created::new(location, body))
}
