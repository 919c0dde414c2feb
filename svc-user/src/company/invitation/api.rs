//! Invitations of a company, and accepting them.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    http::{Body, Created, Listed, NoContent},
    idempotency::IdempotencyKey,
    identity::User,
    problem::Problem,
    types::{CompanyId, CompanyRole, Cursor, InvitationId, Limit, Page},
};
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
};

use super::{
    CompanyInvitation, Invitation,
    accept::{self, Acceptance},
    create::{self, NewInvitation},
    resend, revoke,
};
use crate::{
    Users,
    company::{api::Tag, member::Member, view::CompanyView},
    schema::company_invitation,
};

/// The endpoints of invitations.
pub struct InvitationApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Companies")]
impl InvitationApi {
    /// Invite somebody to a company
    ///
    /// They get a mail with a link, which works once, for seven days; whoever has no account registers first, with that
    /// address. For admins of the company; only owners invite owners. A company invites up to 100 people a day, 5 until it is
    /// approved.
    #[oai(path = "/companies/:id/invitations", method = "post", operation_id = "create_company_invitation")]
    async fn create(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        /// Which company.
        id: Path<CompanyId>,
        /// Repeats of the request with the same key have no further effect.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        Body(new): Body<NewInvitation>,
    ) -> Result<Created<CompanyInvitation>, Problem> {
        create::create(users, (identity.user, id.0), key.0, new).await
    }

    /// List the invitations of a company
    ///
    /// The latest first, those that are over included, for a month. For admins of the company.
    #[oai(path = "/companies/:id/invitations", method = "get", operation_id = "list_company_invitations")]
    async fn list(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        /// Which company.
        id: Path<CompanyId>,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<CompanyInvitation>, Problem> {
        let mut connection = users.database.connection().await?;
        Member::of(&mut connection, id.0, identity.user).await?.at_least(CompanyRole::Admin)?;
        let theirs = company_invitation::table.filter(company_invitation::company_id.eq(id.0));
        let mut query = theirs
            .select(Invitation::as_select())
            .order(company_invitation::id.desc())
            .limit(limit.0.rows())
            .into_boxed();
        if let Some(cursor) = cursor.0 {
            query = query.filter(company_invitation::id.lt(cursor.after::<InvitationId>()?));
        }
        let rows: Vec<Invitation> = query.load(&mut connection).await?;
        Ok(Listed(Page::from_rows(rows, limit.0, |row| row.id, CompanyInvitation::from)?))
    }

    /// Send an invitation again
    ///
    /// With another link, which is good for seven days; the one before is worthless. After each there is a pause, which grows
    /// (`too_many_requests`). For admins of the company. A `conflict` when it was accepted or revoked.
    #[oai(
        path = "/companies/:id/invitations/:invitation_id/resend",
        method = "post",
        operation_id = "resend_company_invitation"
    )]
    async fn resend(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        /// Which company.
        id: Path<CompanyId>,
        /// Which invitation.
        invitation_id: Path<InvitationId>,
    ) -> Result<Body<CompanyInvitation>, Problem> {
        resend::resend(users, (identity.user, id.0), invitation_id.0).await.map(Body)
    }

    /// Revoke an invitation
    ///
    /// Its link is worthless from now on. For admins of the company. A `conflict` when it was accepted.
    #[oai(
        path = "/companies/:id/invitations/:invitation_id",
        method = "delete",
        operation_id = "revoke_company_invitation"
    )]
    async fn revoke(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        /// Which company.
        id: Path<CompanyId>,
        /// Which invitation.
        invitation_id: Path<InvitationId>,
    ) -> Result<NoContent, Problem> {
        revoke::revoke(users, (identity.user, id.0), invitation_id.0).await?;
        Ok(NoContent)
    }

    /// Accept an invitation with the link of a mail
    ///
    /// Whoever is signed in becomes a member, if their verified e-mail address is the one that was invited. A link that is
    /// worthless is an `invalid_request` at `/token`; somebody else's address is `forbidden`, one that is not verified a
    /// `conflict`.
    #[oai(path = "/company-invitations/accept", method = "post", operation_id = "accept_company_invitation")]
    async fn accept(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        Body(acceptance): Body<Acceptance>,
    ) -> Result<Created<CompanyView>, Problem> {
        accept::accept(users, identity.user, acceptance).await
    }
}
