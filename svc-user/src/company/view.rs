//! Companies as their members and staff see them.

use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods, OptionalExtension, QueryDsl,
    SelectableHelper, TextExpressionMethods,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    identity::{CompaniesRead, OwnerOr},
    problem::Problem,
    types::{Address, CompanyId, CompanyRole, Cursor, Email, Eori, Limit, Name, Page, Text, VatId},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{
    Company, member,
    values::{CompanyStatus, Reason},
};
use crate::schema::{company, company_member, lower};

/// A company.
#[derive(Clone, Serialize, Deserialize, Object)]
#[oai(rename = "Company")]
pub struct CompanyView {
    /// Names the company everywhere.
    id: CompanyId,
    /// What it is called.
    name: Name,
    /// What it is called in the register; null when that is its name.
    #[oai(nullable)]
    legal_name: Option<Name>,
    /// Its VAT identifier.
    #[oai(nullable)]
    vat_id: Option<VatId>,
    /// Its entry in the commercial register.
    #[oai(nullable)]
    registration_number: Option<Text<1, 100>>,
    /// Who it is to customs.
    #[oai(nullable)]
    eori: Option<Eori>,
    /// Where mail to it goes.
    email: Email,
    /// In any notation.
    #[oai(nullable)]
    phone: Option<Text<1, 32>>,
    /// Where it is.
    address: Address,
    /// Whether it may order.
    status: CompanyStatus,
    /// Why it was rejected or suspended; null unless it was.
    #[oai(nullable)]
    status_reason: Option<Reason>,
    /// What the caller may do in it; null for staff that is no member.
    #[oai(nullable)]
    role: Option<CompanyRole>,
    /// When it was registered.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

impl CompanyView {
    /// A company as somebody with this role sees it.
    pub(crate) fn of(company: Company, role: Option<CompanyRole>) -> Self {
        Self {
            id: company.id,
            name: company.name,
            legal_name: company.legal_name,
            vat_id: company.vat_id,
            registration_number: company.registration_number,
            eori: company.eori,
            email: company.email,
            phone: company.phone,
            address: company.address,
            status: company.status,
            status_reason: company.status_reason,
            role,
            created_at: company.created_at,
            updated_at: company.updated_at,
        }
    }

    pub(crate) const fn id(&self) -> CompanyId {
        self.id
    }
}

/// Which companies are wanted.
pub(crate) struct Filter {
    /// How a name begins, or the whole VAT identifier.
    pub(crate) search: Option<Text<1, 100>>,
    pub(crate) status: Option<CompanyStatus>,
}

/// The companies that the caller is a member of, and for staff all; the latest first.
pub(crate) async fn list(
    connection: &mut AsyncPgConnection,
    caller: &OwnerOr<CompaniesRead>,
    Filter { search, status }: Filter,
    (limit, cursor): (Limit, Option<Cursor>),
) -> Result<Page<CompanyView>, Problem> {
    let own = company_member::company_id.eq(company::id).and(company_member::user_id.eq(caller.identity().user));
    let mut query = company::table
        .left_join(company_member::table.on(own))
        .select((Company::as_select(), company_member::role.nullable()))
        .order(company::id.desc())
        .limit(limit.rows())
        .into_boxed();
    if !caller.reaches_all() {
        query = query.filter(company_member::role.is_not_null());
    }
    if let Some(status) = status {
        query = query.filter(company::status.eq(status));
    }
    if let Some(text) = search {
        let prefix = beginning_with(&text);
        let named = lower(company::name).like(lower(prefix.clone())).or(company::legal_name
            .is_not_null()
            .and(lower(company::legal_name.assume_not_null()).like(lower(prefix))));
        query = match text.parse::<VatId>() {
            Ok(vat_id) => {
                query.filter(named.or(company::vat_id.is_not_null().and(company::vat_id.assume_not_null().eq(vat_id))))
            }
            Err(_no_identifier) => query.filter(named),
        };
    }
    if let Some(cursor) = cursor {
        query = query.filter(company::id.lt(cursor.after::<CompanyId>()?));
    }
    let rows: Vec<(Company, Option<CompanyRole>)> = query.load(connection).await?;
    Ok(Page::from_rows(rows, limit, |(company, _)| company.id, |(company, role)| CompanyView::of(company, role))?)
}

/// One company with its version, for its members and for staff.
///
/// # Errors
/// `not_found`.
pub(crate) async fn get(
    connection: &mut AsyncPgConnection,
    caller: &OwnerOr<CompaniesRead>,
    id: CompanyId,
) -> Result<(CompanyView, i64), Problem> {
    let own = company_member::company_id.eq(company::id).and(company_member::user_id.eq(caller.identity().user));
    let found: Option<(Company, Option<CompanyRole>)> = company::table
        .left_join(company_member::table.on(own))
        .filter(company::id.eq(id))
        .select((Company::as_select(), company_member::role.nullable()))
        .first(connection)
        .await
        .optional()?;
    let (company, role) =
        found.filter(|(_, role)| role.is_some() || caller.reaches_all()).ok_or_else(member::no_such_company)?;
    let version = company.version;
    Ok((CompanyView::of(company, role), version))
}

/// The `LIKE` pattern of texts that begin with this one, sign by sign.
fn beginning_with(text: &str) -> String {
    let literal = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("{literal}%")
}
