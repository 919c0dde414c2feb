//! Members of a company.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, QueryDsl, Queryable};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    http::{Body, Listed, NoContent},
    identity::{CompaniesRead, OwnerOr, User},
    problem::Problem,
    types::{CompanyId, CompanyRole, Cursor, Email, Limit, Name, Page, UserId},
};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use super::{
    change_role::{self, MemberChanges},
    may_read, remove,
};
use crate::{
    Users,
    company::api::Tag,
    schema::{company_member, user},
};

/// Somebody in a company.
#[derive(Clone, Serialize, Deserialize, Object, Queryable)]
pub struct CompanyMember {
    /// Who.
    user_id: UserId,
    /// What to call them.
    name: Name,
    /// Where mail to them goes.
    email: Email,
    /// What they may do in the company.
    role: CompanyRole,
    /// Since when they are in it.
    joined_at: DateTime<Utc>,
}

const COLUMNS: (company_member::user_id, user::name, user::email, company_member::role, company_member::joined_at) =
    (company_member::user_id, user::name, user::email, company_member::role, company_member::joined_at);

/// One member, who is there.
pub(super) async fn find(
    connection: &mut AsyncPgConnection,
    company: CompanyId,
    member: UserId,
) -> diesel::QueryResult<CompanyMember> {
    let one = company_member::table.inner_join(user::table).filter(company_member::company_id.eq(company));
    one.filter(company_member::user_id.eq(member)).select(COLUMNS).first(connection).await
}

/// The endpoints of members.
pub struct MemberApi;

#[OpenApi(prefix_path = "/v1/companies", tag = "Tag::Companies")]
impl MemberApi {
    /// List the members of a company
    ///
    /// For its members, and for staff.
    #[oai(path = "/:id/members", method = "get", operation_id = "list_company_members")]
    async fn list(
        &self,
        Data(users): Data<&Users>,
        caller: OwnerOr<CompaniesRead>,
        /// Which company.
        id: Path<CompanyId>,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<CompanyMember>, Problem> {
        let mut connection = users.database.connection().await?;
        may_read(&mut connection, id.0, &caller, CompanyRole::Viewer).await?;
        let members = company_member::table.inner_join(user::table).filter(company_member::company_id.eq(id.0));
        let mut query = members.select(COLUMNS).order(company_member::user_id).limit(limit.0.rows()).into_boxed();
        if let Some(cursor) = cursor.0 {
            query = query.filter(company_member::user_id.gt(cursor.after::<UserId>()?));
        }
        let rows: Vec<CompanyMember> = query.load(&mut connection).await?;
        Ok(Listed(Page::from_rows(rows, limit.0, |member| member.user_id, |member| member)?))
    }

    /// Change what a member may do
    ///
    /// For admins of the company; only owners make and unmake owners. The last owner stays one (`conflict`).
    #[oai(path = "/:id/members/:user_id", method = "patch", operation_id = "update_company_member")]
    async fn update(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        /// Which company.
        id: Path<CompanyId>,
        /// Which member.
        user_id: Path<UserId>,
        Body(changes): Body<MemberChanges>,
    ) -> Result<Body<CompanyMember>, Problem> {
        change_role::change_role(users, (identity.user, id.0), user_id.0, changes).await.map(Body)
    }

    /// Remove a member, or leave
    ///
    /// Everyone may leave; others are removed by admins, owners by owners. The last owner stays (`conflict`). What was
    /// ordered stays the company's.
    #[oai(path = "/:id/members/:user_id", method = "delete", operation_id = "remove_company_member")]
    async fn remove(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        /// Which company.
        id: Path<CompanyId>,
        /// Which member.
        user_id: Path<UserId>,
    ) -> Result<NoContent, Problem> {
        remove::remove(users, (identity.user, id.0), user_id.0).await?;
        Ok(NoContent)
    }
}
