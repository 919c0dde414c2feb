//! One's own addresses.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    http::{Body, Created, Listed, NoContent},
    idempotency::IdempotencyKey,
    identity::User,
    problem::Problem,
    types::{Address, AddressId, Cursor, Limit, Page, postal},
};
use poem::web::Data;
use poem_openapi::{
    OpenApi, Tags,
    param::{Header, Path, Query},
};

use super::{StoredAddress, create};
use crate::{Users, schema::address};

#[derive(Tags)]
enum Tag {
    /// Where people live.
    Addresses,
}

/// The endpoints of addresses.
pub struct AddressApi;

#[OpenApi(prefix_path = "/v1/users/me/addresses", tag = "Tag::Addresses")]
impl AddressApi {
    /// List one's addresses
    ///
    /// In the order in which they were stored.
    #[oai(path = "/", method = "get", operation_id = "list_addresses")]
    async fn list_addresses(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<StoredAddress>, Problem> {
        let owned = StoredAddress::owned_by(identity.user);
        let mut query = owned.select(StoredAddress::as_select()).order(address::id).limit(limit.0.rows()).into_boxed();
        if let Some(cursor) = cursor.0 {
            query = query.filter(address::id.gt(cursor.after::<AddressId>()?));
        }
        let mut connection = users.database.connection().await?;
        let rows: Vec<StoredAddress> = query.load(&mut connection).await?;
        Ok(Listed(Page::from_rows(rows, limit.0, |stored| stored.id, |stored| stored)?))
    }

    /// Store an address
    ///
    /// It has to be as addresses of its country are (`GET /v1/countries/{code}/address-format`), else each part that is missing or
    /// wrong is pointed at. Up to 50 for each person, one more is a `conflict`. A person who is gone is `not_found`.
    #[oai(path = "/", method = "post", operation_id = "create_address")]
    async fn create_address(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        /// Repeats of the request with the same key have no further effect.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        Body(new): Body<Address>,
    ) -> Result<Created<StoredAddress>, Problem> {
        create::create_address(users, identity.user, key.0, new).await
    }

    /// Read one of one's addresses
    ///
    /// Somebody else's is not found, like one that does not exist.
    #[oai(path = "/:id", method = "get", operation_id = "get_address")]
    async fn get_address(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        id: Path<AddressId>,
    ) -> Result<Body<StoredAddress>, Problem> {
        let mut connection = users.database.connection().await?;
        let found = StoredAddress::owned_by(identity.user)
            .filter(address::id.eq(id.0))
            .select(StoredAddress::as_select())
            .first(&mut connection)
            .await
            .optional()?;
        Ok(Body(found.ok_or_else(|| Problem::not_found("address"))?))
    }

    /// Replace one of one's addresses
    ///
    /// The whole address; orders that were placed with it keep their copy.
    #[oai(path = "/:id", method = "put", operation_id = "replace_address")]
    async fn replace_address(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        id: Path<AddressId>,
        Body(new): Body<Address>,
    ) -> Result<Body<StoredAddress>, Problem> {
        postal::check(&new, "")?;
        let mut connection = users.database.connection().await?;
        let replaced = diesel::update(StoredAddress::owned_by(identity.user).filter(address::id.eq(id.0)))
            .set((address::postal_address.eq(new), address::updated_at.eq(diesel::dsl::now)))
            .returning(StoredAddress::as_returning())
            .get_result(&mut connection)
            .await
            .optional()?;
        Ok(Body(replaced.ok_or_else(|| Problem::not_found("address"))?))
    }

    /// Delete one of one's addresses
    ///
    /// Orders that were placed with it keep their copy.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_address")]
    async fn delete_address(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        id: Path<AddressId>,
    ) -> Result<NoContent, Problem> {
        let mut connection = users.database.connection().await?;
        let deleted = diesel::delete(StoredAddress::owned_by(identity.user).filter(address::id.eq(id.0)))
            .execute(&mut connection)
            .await?;
        if deleted == 0 { Err(Problem::not_found("address")) } else { Ok(NoContent) }
    }
}
