//! Categories: the shelves of the shop.

pub(crate) mod api;
mod create;
pub(crate) mod slug;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::DatabaseError,
    types::{CategoryId, Limit},
};
use slug::Slug;

use crate::schema::category;

/// A row of `category`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = category, check_for_backend(diesel::pg::Pg))]
pub(crate) struct Category {
    pub(crate) id: CategoryId,
    pub(crate) slug: Slug,
    pub(crate) name: String,
    pub(crate) description: String,
}

impl Category {
    /// The category of this slug.
    pub(crate) async fn by_slug(
        connection: &mut AsyncPgConnection,
        slug: &Slug,
    ) -> Result<Option<Self>, DatabaseError> {
        let row = category::table.filter(category::slug.eq(slug)).select(Self::as_select()).first(connection).await;
        Ok(row.optional()?)
    }

    /// Whether there is such a category.
    pub(crate) async fn exists(connection: &mut AsyncPgConnection, id: CategoryId) -> Result<bool, DatabaseError> {
        Ok(diesel::select(diesel::dsl::exists(category::table.find(id))).get_result(connection).await?)
    }

    /// Categories by slug, after `after`.
    pub(crate) async fn list(
        connection: &mut AsyncPgConnection,
        after: Option<(String, CategoryId)>,
        limit: Limit,
    ) -> Result<Vec<Self>, DatabaseError> {
        let mut query = category::table
            .order((category::name, category::id))
            .limit(limit.rows())
            .select(Self::as_select())
            .into_boxed();
        if let Some((name, id)) = after {
            query =
                query.filter(category::name.ge(name.clone())).filter(category::name.gt(name).or(category::id.gt(id)));
        }
        Ok(query.load(connection).await?)
    }
}
