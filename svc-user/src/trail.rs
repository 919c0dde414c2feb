//! The audit trail: who did what to what, when and from where. The gateway tells it ([`nats::contracts::trail`]); here it is
//! kept and read.
//!
//! Rows are only added; PostgreSQL refuses everything else, and the service's role has no right to it. What began and how it
//! ended are rows of their own, and come in any order and more than once. Whole months go 400 days after they ended.
//!
//! Trap: a trail has no references. Whoever is erased elsewhere stays here as an id.

pub mod api;
pub(crate) mod list;
pub(crate) mod record;

use diesel::sql_query;
use diesel_async::RunQueryDsl;
use nats::database::DatabaseError;

use crate::Users;

/// Sees to it that the coming months have their partitions, and drops those that ended 400 days ago.
///
/// # Errors
/// The database's.
pub(crate) async fn keep_trail(users: Users) -> Result<(), DatabaseError> {
    let mut connection = users.database.connection().await?;
    sql_query("select keep_trail_months(current_date - 31, current_date + 62, current_date - 400)")
        .execute(&mut connection)
        .await?;
    Ok(())
}
