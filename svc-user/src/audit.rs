//! What must be so of accounts and sessions.

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::operations::AuditCheck,
    database::{Connection, DatabaseError},
    types::{CompanyId, SessionId, UserId},
};
use uuid::Uuid;

use crate::Users;

/// Checks the invariants of accounts, sessions and keys.
///
/// # Errors
/// The database's.
pub(crate) async fn audit(users: Users) -> Result<Vec<AuditCheck>, DatabaseError> {
    let mut connection = users.database.connection().await?;
    let connection = &mut connection;
    Ok(vec![
        check(
            connection,
            "an address belongs to one account",
            "select count(*) as all, 0::bigint as part from \"user\"",
            |all, _| format!("{all} accounts"),
            |id| UserId::from_uuid(id).to_string(),
            // Who it is stays out of reports: an id is enough to find them.
            "select min(id::text)::uuid as id, format('shares its address with %s others', count(*) - 1) as what, count(*) over () as all
             from \"user\" group by lower(email) having count(*) > 1 limit 20",
        )
        .await?,
        check(
            connection,
            "a person has roles that there are",
            "select count(*) as all, count(*) filter (where roles <> '{customer}') as part from \"user\"",
            |all, part| format!("{all} accounts, {part} of them with more than the role to buy"),
            |id| UserId::from_uuid(id).to_string(),
            "select id, format('has the role `%s`, and there is none', name) as what, count(*) over () as all
             from (select id, unnest(roles) as name from \"user\") held
             where not exists (select from role where role.name = held.name) limit 20",
        )
        .await?,
        check(
            connection,
            "a session goes on in one line: it has one refresh token that works, unless it has ended",
            "select count(*) as all, count(ended_at) as part from session",
            |all, ended| format!("{all} sessions, {ended} of them ended"),
            |id| SessionId::from_uuid(id).to_string(),
            "select session.id, format('has %s tokens that work', count(hash)) as what, count(*) over () as all
             from session left join refresh_token on session_id = session.id and state = 'active'
             where ended_at is null
             group by session.id having count(hash) <> 1 limit 20",
        )
        .await?,
        check(
            connection,
            "no refresh token outlives its session",
            "select count(*) as all, count(consumed_at) as part from refresh_token",
            |all, consumed| format!("{all} tokens, {consumed} of them consumed"),
            |id| SessionId::from_uuid(id).to_string(),
            "select session.id, format('has a token that is good until %s', expires_at) as what, count(*) over () as all
             from refresh_token join session on session.id = session_id
             where expires_at > session.created_at + interval '30 days' limit 20",
        )
        .await?,
        check(
            connection,
            "whoever has an account can sign in: with a password, or with an external identity",
            "select count(*) as all, count(password_hash) as part from \"user\"",
            |all, with_password| format!("{all} accounts, {with_password} of them with a password"),
            |id| UserId::from_uuid(id).to_string(),
            "select id, 'has neither' as what, count(*) over () as all from \"user\"
             where password_hash is null and not exists (select from external_identity where user_id = \"user\".id) limit 20",
        )
        .await?,
        check(
            connection,
            "a company has an owner",
            "select count(*) as all, count(*) filter (where status = 'active') as part from company",
            |all, active| format!("{all} companies, {active} of them active"),
            |id| CompanyId::from_uuid(id).to_string(),
            "select id, 'has nobody who owns it' as what, count(*) over () as all
             from company
             where not exists (select from company_member where company_id = company.id and role = 'owner') limit 20",
        )
        .await?,
        check(
            connection,
            "there is a key to sign access tokens with",
            "select count(*) as all, count(retired_at) as part from signing_key",
            |all, retired| format!("{all} keys, {retired} of them retired or about to"),
            |id| id.to_string(),
            "select null::uuid as id, 'every key is retired or still to come, or there is none' as what, 1::bigint as all
             where not exists (select from signing_key
                               where signs_from <= now() and (retired_at is null or retired_at > now()))",
        )
        .await?,
    ])
}

#[derive(QueryableByName)]
struct Figures {
    #[diesel(sql_type = sql_types::BigInt)]
    all: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    part: i64,
}

/// Something wrong, and how many such things there are.
#[derive(QueryableByName)]
struct Wrong {
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    id: Option<Uuid>,
    #[diesel(sql_type = sql_types::Text)]
    what: String,
    #[diesel(sql_type = sql_types::BigInt)]
    all: i64,
}

async fn check(
    connection: &mut Connection,
    invariant: &str,
    counts: &str,
    figures: fn(i64, i64) -> String,
    name: fn(Uuid) -> String,
    violations: &str,
) -> Result<AuditCheck, DatabaseError> {
    let Figures { all, part } = sql_query(counts).get_result(connection).await?;
    let wrong: Vec<Wrong> = sql_query(violations).load(connection).await?;
    let figures = format!("{}, {} wrong", figures(all, part), wrong.as_slice().first().map_or(0, |first| first.all));
    let violations = wrong.into_iter().map(|Wrong { id, what, .. }| match id {
        Some(id) => format!("{} {what}", name(id)),
        None => what,
    });
    Ok(AuditCheck::new(invariant, figures, violations.collect()))
}
