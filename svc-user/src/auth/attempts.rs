//! How often something may be tried. Whoever tries too often has to pause: a second, after each further attempt that counts
//! twice as long, up to a quarter of an hour. Nobody is locked out.
//!
//! | counted | for | free | one is forgotten after |
//! |---|---|---|---|
//! | signing in, by e-mail address and network | whoever guesses one person's password | 0 | a day |
//! | signing in, by e-mail address | the same from many networks | 10 | 15 minutes |
//! | signing in, by network | whoever tries one password after another with many e-mail addresses | 20 | a minute |
//! | the others, by e-mail address | each mail that was asked for; wrong passwords of whoever is signed in | 0 | a day |
//!
//! A network is what tells one customer from another: an IPv4 address, or a /64 of IPv6. Where a person has signed in from a
//! network before, only the first line counts there: so strangers hold up each other, and nobody at home.
//!
//! It is counted by the address as it was typed, be it somebody's or nobody's, so that a pause tells nobody who has an
//! account. An attempt during a pause is refused, not counted, so whoever comes when it is over has their try. The link of a
//! password reset ends the pauses of its e-mail address, and whoever is signed in stays so and can change the password, which
//! is counted by itself.
//!
//! Trap: guesses that are made all at once. The check before a password is hashed keeps them cheap, but the whole burst
//! passes it. So each outcome is judged once more when it is written: of a burst one guess is answered, and the others hear
//! of a pause, right or wrong. Right ones without a wrong one among them are all answered.

use std::{net::IpAddr, time::Duration};

use diesel::{OptionalExtension, QueryableByName, sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{database::DatabaseError, problem::Problem, types::Email};
use sha2::{Digest, Sha256};

use crate::Users;

/// How many counters are remembered; of more, those that were used last.
const MOST: i64 = 1_000_000;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To tell the password while signed in, to change it; what fails counts.
    PasswordChange,
    /// To get a mail with a link to set a new password; each counts.
    PasswordReset,
    /// To get a mail with a link to verify the address; each counts.
    EmailVerification,
}

/// The attempts at one thing: each of these counters has to let one through.
pub(crate) struct Attempts(Vec<Counter>);

/// A row of `attempt`, and how it is counted.
struct Counter {
    email_hash: Vec<u8>,
    purpose: &'static str,
    network: String,
    rule: Rule,
}

/// From when on there are pauses.
#[derive(Clone, Copy)]
struct Rule {
    /// So many attempts have no pause after them.
    free: i32,
    /// One is forgotten after so many seconds.
    forgets_s: i32,
}

const STRICT: Rule = Rule { free: 0, forgets_s: 86_400 };
/// Some hundred a day, from however many networks (NIST SP 800-63B, 5.2.2).
const OF_EVERYWHERE: Rule = Rule { free: 10, forgets_s: 900 };
/// An office has many people who mistype.
const OF_A_NETWORK: Rule = Rule { free: 20, forgets_s: 60 };

const SIGN_IN: &str = "sign_in";
const SIGN_IN_EVERYWHERE: &str = "sign_in_everywhere";
const SIGN_IN_NETWORK: &str = "sign_in_network";

impl Attempts {
    /// At this, with this e-mail address.
    pub(crate) fn of(email: &Email, purpose: Purpose) -> Self {
        let purpose = match purpose {
            Purpose::PasswordChange => "password_change",
            Purpose::PasswordReset => "password_reset",
            Purpose::EmailVerification => "email_verification",
        };
        Self(vec![Counter { email_hash: hash(email), purpose, network: String::new(), rule: STRICT }])
    }

    /// At signing in, from this network; `known` when the person has signed in from there before. What fails counts.
    pub(crate) fn to_sign_in(email: &Email, network: Option<IpAddr>, known: bool) -> Self {
        let network = network.map(|network| network.to_string()).unwrap_or_default();
        let counter = |email_hash, purpose, network: &str, rule| Counter {
            email_hash,
            purpose,
            network: network.to_owned(),
            rule,
        };
        let mut counters = vec![counter(hash(email), SIGN_IN, &network, STRICT)];
        if !known {
            counters.push(counter(hash(email), SIGN_IN_EVERYWHERE, "", OF_EVERYWHERE));
            if !network.is_empty() {
                counters.push(counter(Vec::new(), SIGN_IN_NETWORK, &network, OF_A_NETWORK));
            }
        }
        Self(counters)
    }

    /// Refuses as long as there is a pause.
    ///
    /// # Errors
    /// `too_many_requests` with the time that is left.
    pub(crate) async fn check(&self, connection: &mut AsyncPgConnection) -> Result<(), Problem> {
        self.hold(connection, "").await
    }

    /// An attempt failed: it counts, unless another one of the same moment did, about which this one must tell nothing.
    ///
    /// # Errors
    /// `too_many_requests`, as [`Attempts::check`].
    pub(crate) async fn failed(&self, connection: &mut AsyncPgConnection) -> Result<(), Problem> {
        if self.count(connection).await? { Ok(()) } else { Err(self.refused(connection).await?) }
    }

    /// An attempt succeeded: those before are forgotten, unless one of the same moment failed. What was counted of the
    /// network stays: it is not only this person's.
    ///
    /// # Errors
    /// `too_many_requests`, as [`Attempts::check`].
    pub(crate) async fn succeeded(&self, connection: &mut AsyncPgConnection) -> Result<(), Problem> {
        self.hold(connection, "for update").await?;
        for counter in self.0.iter().filter(|counter| counter.purpose != SIGN_IN_NETWORK) {
            counter.forget(connection).await?;
        }
        Ok(())
    }

    /// Counts an attempt and begins its pause; false, and nothing more is counted, when there is one.
    pub(crate) async fn count(&self, connection: &mut AsyncPgConnection) -> Result<bool, DatabaseError> {
        for counter in &self.0 {
            if !counter.count(connection).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn hold(&self, connection: &mut AsyncPgConnection, lock: &str) -> Result<(), Problem> {
        for counter in &self.0 {
            if let Some(left) = counter.left(connection, lock).await? {
                return Err(refused(left));
            }
        }
        Ok(())
    }

    async fn refused(&self, connection: &mut AsyncPgConnection) -> Result<Problem, DatabaseError> {
        let mut longest = Duration::ZERO;
        for counter in &self.0 {
            longest = longest.max(counter.left(connection, "").await?.unwrap_or_default());
        }
        Ok(refused(longest))
    }
}

impl Counter {
    async fn count(&self, connection: &mut AsyncPgConnection) -> Result<bool, DatabaseError> {
        // What is left of the attempts before this one, and the pause after so many.
        let level =
            "greatest(least(attempt.attempts, 1000) - floor(extract(epoch from now() - attempt.last_at) / $5)::int, 0)";
        let pause = |attempts: &str| {
            format!(
                "now() + case when {attempts} <= $4 then 0 else least(power(2, least({attempts} - $4 - 1, 20)), 900) end
                 * interval '1 second'"
            )
        };
        let (first, next) = (pause("1"), pause(&format!("({level} + 1)")));
        let counted = sql_query(format!(
            "insert into attempt (email_hash, purpose, network, attempts, blocked_until) values ($1, $2, $3, 1, {first})
             on conflict (email_hash, purpose, network) do update
             set attempts = {level} + 1, last_at = now(), blocked_until = {next}
             where attempt.blocked_until <= now()"
        ))
        .bind::<sql_types::Binary, _>(&self.email_hash)
        .bind::<sql_types::Text, _>(self.purpose)
        .bind::<sql_types::Text, _>(&self.network)
        .bind::<sql_types::Integer, _>(self.rule.free)
        .bind::<sql_types::Integer, _>(self.rule.forgets_s)
        .execute(connection)
        .await?;
        Ok(counted > 0)
    }

    async fn forget(&self, connection: &mut AsyncPgConnection) -> Result<(), DatabaseError> {
        sql_query("delete from attempt where email_hash = $1 and purpose = $2 and network = $3")
            .bind::<sql_types::Binary, _>(&self.email_hash)
            .bind::<sql_types::Text, _>(self.purpose)
            .bind::<sql_types::Text, _>(&self.network)
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
             where email_hash = $1 and purpose = $2 and network = $3 {lock}"
        ))
        .bind::<sql_types::Binary, _>(&self.email_hash)
        .bind::<sql_types::Text, _>(self.purpose)
        .bind::<sql_types::Text, _>(&self.network)
        .get_result(connection)
        .await
        .optional()?;
        Ok(left.and_then(|Left { ms }| u64::try_from(ms).ok()).filter(|ms| *ms > 0).map(Duration::from_millis))
    }
}

/// E-mail addresses are ASCII, and two spellings are one person.
fn hash(email: &Email) -> Vec<u8> {
    Sha256::digest(email.as_str().to_ascii_lowercase()).to_vec()
}

/// A 429 that says how long the pause is. It lasts a second at least.
fn refused(left: Duration) -> Problem {
    let detail = "There were too many attempts of late. Wait until `Retry-After` is over, then try again.";
    Problem::too_many_requests(detail, left)
}

/// Ends every pause at signing in with this e-mail address, from wherever.
pub(crate) async fn forget_sign_ins(connection: &mut AsyncPgConnection, email: &Email) -> Result<(), DatabaseError> {
    sql_query("delete from attempt where email_hash = $1 and purpose in ('sign_in', 'sign_in_everywhere')")
        .bind::<sql_types::Binary, _>(hash(email))
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets the counters that nobody used for a day, and the oldest of those that are too many.
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
