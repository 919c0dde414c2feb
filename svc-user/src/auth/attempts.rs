//! How often something may be tried with one e-mail address: after one attempt that counts a second's pause, after each
//! further one twice as long, up to a quarter of an hour. A day without any, and all is forgotten.
//!
//! It is counted by the address as it was typed, be it somebody's or nobody's, so that a pause tells nobody who has an
//! account. An attempt during a pause is refused, not counted, so whoever comes when it is over has their try; somebody who
//! keeps guessing can be there first each time, but the link of a password reset ends a pause at once, and whoever is signed in
//! stays so and can change the password, which is counted by itself.
//!
//! Trap: guesses that are made all at once. The check before a password is hashed keeps them cheap, but the whole burst
//! passes it. So each outcome is judged once more when it is written: of a burst one guess is answered, and the others hear
//! of a pause, right or wrong. Right ones without a wrong one among them are all answered.

use std::time::Duration;

use diesel::{OptionalExtension, QueryableByName, sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{database::DatabaseError, problem::Problem, types::Email};
use sha2::{Digest, Sha256};

use crate::Users;

/// How many addresses are remembered; of more, those that were tried last.
const MOST: i64 = 1_000_000;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To tell the password; what fails counts.
    SignIn,
    /// To tell the password while signed in, to change it; what fails counts.
    PasswordChange,
    /// To get a mail with a link to set a new password; each counts.
    PasswordReset,
    /// To get a mail with a link to verify the address; each counts.
    EmailVerification,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::PasswordChange => "password_change",
            Self::PasswordReset => "password_reset",
            Self::EmailVerification => "email_verification",
        }
    }
}

/// The attempts at one thing with one address.
pub(crate) struct Attempts {
    email_hash: Vec<u8>,
    purpose: Purpose,
}

impl Attempts {
    pub(crate) fn of(email: &Email, purpose: Purpose) -> Self {
        // Addresses are ASCII, and two spellings are one person.
        Self { email_hash: Sha256::digest(email.as_str().to_ascii_lowercase()).to_vec(), purpose }
    }

    /// Refuses as long as there is a pause.
    ///
    /// # Errors
    /// `too_many_requests` with the time that is left.
    pub(crate) async fn check(&self, connection: &mut AsyncPgConnection) -> Result<(), Problem> {
        self.left(connection, "").await?.map_or(Ok(()), |left| Err(refused(left)))
    }

    /// An attempt failed: it counts, unless another one of the same moment did, about which this one must tell nothing.
    ///
    /// # Errors
    /// `too_many_requests`, as [`Attempts::check`].
    pub(crate) async fn failed(&self, connection: &mut AsyncPgConnection) -> Result<(), Problem> {
        if self.count(connection).await? {
            Ok(())
        } else {
            Err(refused(self.left(connection, "").await?.unwrap_or_default()))
        }
    }

    /// An attempt succeeded: those before are forgotten, unless one of the same moment failed.
    ///
    /// # Errors
    /// `too_many_requests`, as [`Attempts::check`].
    pub(crate) async fn succeeded(&self, connection: &mut AsyncPgConnection) -> Result<(), Problem> {
        if let Some(left) = self.left(connection, "for update").await? {
            return Err(refused(left));
        }
        Ok(self.forget(connection).await?)
    }

    /// Counts an attempt and begins its pause; false, and nothing is counted, when there is one.
    pub(crate) async fn count(&self, connection: &mut AsyncPgConnection) -> Result<bool, DatabaseError> {
        let counted = sql_query(
            "insert into attempt (email_hash, purpose, attempts, blocked_until)
             values ($1, $2, 1, now() + interval '1 second')
             on conflict (email_hash, purpose) do update
             set attempts = least(attempt.attempts, 1000) + 1, last_at = now(),
                 blocked_until = now() + least(power(2, least(attempt.attempts, 20)), 900) * interval '1 second'
             where attempt.blocked_until <= now()",
        )
        .bind::<sql_types::Binary, _>(&self.email_hash)
        .bind::<sql_types::Text, _>(self.purpose.as_str())
        .execute(connection)
        .await?;
        Ok(counted > 0)
    }

    /// Forgets the attempts, and ends a pause.
    pub(crate) async fn forget(&self, connection: &mut AsyncPgConnection) -> Result<(), DatabaseError> {
        sql_query("delete from attempt where email_hash = $1 and purpose = $2")
            .bind::<sql_types::Binary, _>(&self.email_hash)
            .bind::<sql_types::Text, _>(self.purpose.as_str())
            .execute(connection)
            .await?;
        Ok(())
    }

    /// How much of a pause is left; `None` without one.
    async fn left(&self, connection: &mut AsyncPgConnection, lock: &str) -> Result<Option<Duration>, DatabaseError> {
        #[derive(QueryableByName)]
        struct Left {
            #[diesel(sql_type = sql_types::BigInt)]
            ms: i64,
        }
        let left: Option<Left> = sql_query(format!(
            "select ceil(extract(epoch from blocked_until - now()) * 1000)::bigint as ms from attempt
             where email_hash = $1 and purpose = $2 {lock}"
        ))
        .bind::<sql_types::Binary, _>(&self.email_hash)
        .bind::<sql_types::Text, _>(self.purpose.as_str())
        .get_result(connection)
        .await
        .optional()?;
        Ok(left.and_then(|Left { ms }| u64::try_from(ms).ok()).filter(|ms| *ms > 0).map(Duration::from_millis))
    }
}

/// A 429 that says how long the pause is. It lasts a second at least.
fn refused(left: Duration) -> Problem {
    let detail =
        "There were too many attempts with this e-mail address. Wait until `Retry-After` is over, then try again.";
    Problem::too_many_requests(detail, left)
}

/// Forgets the attempts of addresses that nobody tried for a day, and the oldest of those that are too many.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_attempts(users: Users) -> Result<(), DatabaseError> {
    let mut connection = users.database.connection().await?;
    let old =
        sql_query("delete from attempt where last_at < now() - interval '1 day'").execute(&mut connection).await?;
    let too_many = sql_query(
        "delete from attempt where last_at < (select last_at from attempt order by last_at desc offset $1 limit 1)",
    )
    .bind::<sql_types::BigInt, _>(MOST)
    .execute(&mut connection)
    .await?;
    tracing::debug!(old, too_many, "attempts are forgotten");
    Ok(())
}
