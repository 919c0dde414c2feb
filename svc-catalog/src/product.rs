//! Products: what customers read about, and the variants of it that they buy.

pub(crate) mod api;
pub(crate) mod article;
mod attributes;
mod create;
mod delete;
mod details;
mod hs_code;
mod list;
mod update;
mod variant;

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::{DatabaseError, Tx},
    problem::Problem,
    types::{CategoryId, ProductId},
};

use crate::{category::Category, schema::product};
use attributes::Attributes;

/// A row of `product`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = product, check_for_backend(diesel::pg::Pg))]
pub(crate) struct Product {
    pub(crate) id: ProductId,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) category_id: Option<CategoryId>,
    pub(crate) attributes: Attributes,
    pub(crate) version: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A new row of `product`.
#[derive(Debug, Insertable)]
#[diesel(table_name = product)]
struct NewProduct<'a> {
    id: ProductId,
    name: &'a str,
    description: &'a str,
    category_id: Option<CategoryId>,
    attributes: Attributes,
}

impl Product {
    /// The product, unless it was taken out of the catalogue.
    async fn find(connection: &mut AsyncPgConnection, id: ProductId) -> Result<Option<Self>, DatabaseError> {
        let row = product::table
            .find(id)
            .filter(product::deleted_at.is_null())
            .select(Self::as_select())
            .first(connection)
            .await;
        Ok(row.optional()?)
    }

    /// The product, locked until the transaction ends: edits of one product come one after the other.
    async fn lock(tx: &mut Tx, id: ProductId) -> Result<Option<Self>, DatabaseError> {
        let row = product::table
            .find(id)
            .filter(product::deleted_at.is_null())
            .select(Self::as_select())
            .for_update()
            .first(tx)
            .await;
        Ok(row.optional()?)
    }
}

/// Refuses a category that does not exist.
async fn category_exists(tx: &mut Tx, id: Option<CategoryId>) -> Result<(), Problem> {
    match id {
        Some(id) if !Category::exists(tx, id).await? => {
            Err(Problem::invalid("/category_id", format!("there is no category {id}")))
        }
        _ => Ok(()),
    }
}
