//! Companies, and what staff decides about them.

use nats::{
    http::{Body, Created, Listed},
    idempotency::IdempotencyKey,
    identity::{CompaniesRead, CompaniesWrite, OwnerOr, User},
    problem::Problem,
    types::{CompanyId, Cursor, Limit, Text},
};
use poem::web::Data;
use poem_openapi::{
    OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Response,
};

use super::{
    create::{self, NewCompany},
    review::{Decision, Refusal, decide},
    update::{self, CompanyChanges},
    values::CompanyStatus,
    version::etag,
    view::{self, CompanyView, Filter},
};
use crate::Users;

#[derive(Tags)]
pub(crate) enum Tag {
    /// People who buy together, in roles, on terms of their own.
    Companies,
}

/// A company with its `ETag`.
fn tagged((company, version): (CompanyView, i64)) -> Response<Body<CompanyView>> {
    Response::new(Body(company)).header("ETag", etag(version))
}

/// The endpoints of companies.
pub struct CompanyApi;

#[OpenApi(prefix_path = "/v1/companies", tag = "Tag::Companies")]
impl CompanyApi {
    /// Register a company
    ///
    /// Whoever registers it is its owner. It is `pending` until staff has approved it, and cannot order before: upload the
    /// documents that companies of its country have to show (`/v1/document-types`). A person owns up to 20.
    #[oai(path = "/", method = "post", operation_id = "create_company")]
    async fn create(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        /// Repeats of the request with the same key have no further effect.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        Body(new): Body<NewCompany>,
    ) -> Result<Created<CompanyView>, Problem> {
        create::create(users, identity.user, key.0, new).await
    }

    /// List companies
    ///
    /// Those that the caller is a member of, the latest first; for staff those of everyone.
    #[oai(path = "/", method = "get", operation_id = "list_companies")]
    async fn list(
        &self,
        Data(users): Data<&Users>,
        caller: OwnerOr<CompaniesRead>,
        /// Only companies whose name begins with this, in whatever case, or whose VAT identifier it is.
        search: Query<Option<Text<1, 100>>>,
        /// Only companies of this status.
        status: Query<Option<CompanyStatus>>,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<CompanyView>, Problem> {
        let mut connection = users.database.connection().await?;
        let filter = Filter { search: search.0, status: status.0 };
        view::list(&mut connection, &caller, filter, (limit.0, cursor.0)).await.map(Listed)
    }

    /// Read a company
    ///
    /// For its members, and for staff. Somebody else's is not found, like one that does not exist.
    #[oai(
        path = "/:id",
        method = "get",
        operation_id = "get_company",
        response_header(name = "ETag", ty = "String", description = "Its version, for `If-Match`.")
    )]
    async fn get(
        &self,
        Data(users): Data<&Users>,
        caller: OwnerOr<CompaniesRead>,
        /// Which.
        id: Path<CompanyId>,
    ) -> Result<Response<Body<CompanyView>>, Problem> {
        let mut connection = users.database.connection().await?;
        view::get(&mut connection, &caller, id.0).await.map(tagged)
    }

    /// Change a company
    ///
    /// What is sent changes, everything else stays. For admins of the company. Another name, identifier or country makes it
    /// `pending` again. With `If-Match`, an edit that someone else made in the meantime is not overwritten (412).
    #[oai(
        path = "/:id",
        method = "patch",
        operation_id = "update_company",
        response_header(name = "ETag", ty = "String", description = "Its version afterwards.")
    )]
    async fn update(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        /// Which.
        id: Path<CompanyId>,
        /// The `ETag` of the company as it was read.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        Body(changes): Body<CompanyChanges>,
    ) -> Result<Response<Body<CompanyView>>, Problem> {
        update::update(users, (identity.user, id.0), if_match.0.as_deref(), changes).await.map(tagged)
    }

    /// Approve a company
    ///
    /// It may order from now on. For staff. A `conflict` while a document that is required of it was not accepted, and when it
    /// is active already. With `If-Match`, only the company that was looked at is approved (412).
    #[oai(
        path = "/:id/approve",
        method = "post",
        operation_id = "approve_company",
        response_header(name = "ETag", ty = "String", description = "Its version afterwards.")
    )]
    async fn approve(
        &self,
        Data(users): Data<&Users>,
        CompaniesWrite(staff): CompaniesWrite,
        /// Which.
        id: Path<CompanyId>,
        /// The `ETag` of the company as it was read.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Response<Body<CompanyView>>, Problem> {
        decide(users, (staff.user, id.0), if_match.0.as_deref(), Decision::Approve).await.map(tagged)
    }

    /// Reject a company
    ///
    /// Its members are told why, and may say something else. For staff; a `conflict` unless it is pending.
    #[oai(
        path = "/:id/reject",
        method = "post",
        operation_id = "reject_company",
        response_header(name = "ETag", ty = "String", description = "Its version afterwards.")
    )]
    async fn reject(
        &self,
        Data(users): Data<&Users>,
        CompaniesWrite(staff): CompaniesWrite,
        /// Which.
        id: Path<CompanyId>,
        /// The `ETag` of the company as it was read.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        Body(refusal): Body<Refusal>,
    ) -> Result<Response<Body<CompanyView>>, Problem> {
        let decision = Decision::Reject(refusal.reason);
        decide(users, (staff.user, id.0), if_match.0.as_deref(), decision).await.map(tagged)
    }

    /// Suspend a company
    ///
    /// It may not order any more, until it is approved again. For staff; a `conflict` unless it is active.
    #[oai(
        path = "/:id/suspend",
        method = "post",
        operation_id = "suspend_company",
        response_header(name = "ETag", ty = "String", description = "Its version afterwards.")
    )]
    async fn suspend(
        &self,
        Data(users): Data<&Users>,
        CompaniesWrite(staff): CompaniesWrite,
        /// Which.
        id: Path<CompanyId>,
        /// The `ETag` of the company as it was read.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        Body(refusal): Body<Refusal>,
    ) -> Result<Response<Body<CompanyView>>, Problem> {
        let decision = Decision::Suspend(refusal.reason);
        decide(users, (staff.user, id.0), if_match.0.as_deref(), decision).await.map(tagged)
    }
}
