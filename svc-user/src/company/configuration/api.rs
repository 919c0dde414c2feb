//! A company's configuration.

use chrono::{DateTime, Utc};
use diesel::{QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    http::Body,
    identity::{CompaniesRead, OwnerOr, User},
    problem::Problem,
    types::{CompanyId, CompanyRole, Currency, Email, Locale, Money},
};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path},
    payload::Response,
};
use serde::{Deserialize, Serialize};

use super::{
    Configuration,
    update::{self, ConfigurationChanges},
};
use crate::{
    Users,
    company::{api::Tag, member::may_read, version::etag},
    schema::company_configuration,
};

/// How a company orders.
#[derive(Clone, Serialize, Deserialize, Object)]
pub struct CompanyConfiguration {
    /// What it orders in (ISO 4217).
    currency: Currency,
    /// What its invoices are written in.
    locale: Locale,
    /// Where its invoices go; null when that is the company's address.
    #[oai(nullable)]
    invoice_email: Option<Email>,
    /// Whether each of its orders needs a number of the company's own books.
    purchase_order_required: bool,
    /// What one order of a buyer may come to, taxes included; null without limit.
    #[oai(nullable)]
    spending_limit: Option<Money>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

impl From<Configuration> for CompanyConfiguration {
    fn from(row: Configuration) -> Self {
        let spending_limit = row.spending_limit();
        let Configuration { currency, locale, invoice_email, purchase_order_required, updated_at, .. } = row;
        Self { currency, locale, invoice_email, purchase_order_required, spending_limit, updated_at }
    }
}

/// The configuration with its `ETag`.
fn tagged(row: Configuration) -> Response<Body<CompanyConfiguration>> {
    let etag = etag(row.version);
    Response::new(Body(row.into())).header("ETag", etag)
}

/// The endpoints of configurations.
pub struct ConfigurationApi;

#[OpenApi(prefix_path = "/v1/companies", tag = "Tag::Companies")]
impl ConfigurationApi {
    /// Read how a company orders
    ///
    /// For its members, and for staff.
    #[oai(
        path = "/:id/configuration",
        method = "get",
        operation_id = "get_company_configuration",
        response_header(name = "ETag", ty = "String", description = "Its version, for `If-Match`.")
    )]
    async fn get(
        &self,
        Data(users): Data<&Users>,
        caller: OwnerOr<CompaniesRead>,
        /// Which company.
        id: Path<CompanyId>,
    ) -> Result<Response<Body<CompanyConfiguration>>, Problem> {
        let mut connection = users.database.connection().await?;
        may_read(&mut connection, id.0, &caller, CompanyRole::Viewer).await?;
        let row = company_configuration::table.find(id.0).select(Configuration::as_select()).first(&mut connection);
        Ok(tagged(row.await?))
    }

    /// Change how a company orders
    ///
    /// What is sent changes, everything else stays; orders that were placed keep what they were placed with. For admins of the
    /// company. With `If-Match`, an edit that someone else made in the meantime is not overwritten (412).
    #[oai(
        path = "/:id/configuration",
        method = "patch",
        operation_id = "update_company_configuration",
        response_header(name = "ETag", ty = "String", description = "Its version afterwards.")
    )]
    async fn update(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        /// Which company.
        id: Path<CompanyId>,
        /// The `ETag` of the configuration as it was read.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        Body(changes): Body<ConfigurationChanges>,
    ) -> Result<Response<Body<CompanyConfiguration>>, Problem> {
        let row = update::update(users, (identity.user, id.0), if_match.0.as_deref(), changes).await?;
        Ok(tagged(row))
    }
}
