//! One's own external identities: what one can sign in with, and signing in with it no more.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    http::{Listed, NoContent},
    identity::User,
    problem::Problem,
    types::{Cursor, ExternalIdentityId, Limit, Page},
};
use poem::web::Data;
use poem_openapi::{
    OpenApi, Tags,
    param::{Path, Query},
};

use super::{ExternalIdentity, unlink};
use crate::{Users, schema::external_identity};

#[derive(Tags)]
enum Tag {
    /// Accounts and tokens.
    Authentication,
}

/// The endpoints of external identities.
pub struct ExternalIdentityApi;

#[OpenApi(prefix_path = "/v1/users/me/external-identities", tag = "Tag::Authentication")]
impl ExternalIdentityApi {
    /// List what one signs in with, besides a password
    ///
    /// In the order in which they were linked.
    #[oai(path = "/", method = "get", operation_id = "list_external_identities")]
    async fn list_external_identities(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<ExternalIdentity>, Problem> {
        let owned = ExternalIdentity::owned_by(identity.user).select(ExternalIdentity::as_select());
        let mut query = owned.order(external_identity::id).limit(limit.0.rows()).into_boxed();
        if let Some(cursor) = cursor.0 {
            query = query.filter(external_identity::id.gt(cursor.after::<ExternalIdentityId>()?));
        }
        let mut connection = users.database.connection().await?;
        let rows: Vec<ExternalIdentity> = query.load(&mut connection).await?;
        Ok(Listed(Page::from_rows(rows, limit.0, |linked| linked.id, |linked| linked)?))
    }

    /// Sign in with it no more
    ///
    /// Sessions go on. The last way to sign in stays, as a `conflict`: set a password first, with the link of a mail. Signing in
    /// with it again links it again. Not for API keys.
    #[oai(path = "/:id", method = "delete", operation_id = "unlink_external_identity")]
    async fn unlink_external_identity(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        id: Path<ExternalIdentityId>,
    ) -> Result<NoContent, Problem> {
        unlink::unlink_external_identity(users, &identity, id.0).await?;
        Ok(NoContent)
    }
}
