//! Forgetting those who did not come back, and codes that nobody exchanged.

use diesel::{ExpressionMethods, QueryDsl, dsl::now};
use diesel_async::RunQueryDsl;
use nats::database::DatabaseError;

use crate::{
    Users,
    schema::{external_sign_in, sign_in_code},
};

/// Deletes what has expired.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_external_sign_ins(users: Users) -> Result<(), DatabaseError> {
    let mut connection = users.database.connection().await?;
    let over = external_sign_in::table.filter(external_sign_in::expires_at.le(now));
    let away = diesel::delete(over).execute(&mut connection).await?;
    let expired = sign_in_code::table.filter(sign_in_code::expires_at.le(now));
    let codes = diesel::delete(expired).execute(&mut connection).await?;
    tracing::debug!(away, codes, "sign-ins that came to nothing are deleted");
    Ok(())
}
