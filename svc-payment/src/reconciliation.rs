//! Reconciliation: the provider's statement is read on and compared with our ledger.
//!
//! | difference | what happens |
//! |---|---|
//! | the provider did it, the ledger does not know it | it is written down as if we had looked it up ([`crate::payment::settle`]) |
//! | that is not possible: it is not ours, or contradicts what we know | it is kept with the reason, logged, and told by the audit |
//! | the ledger has it, the statement has not | the same |
//! | the provider has forgotten what it once stated | the same |
//!
//! The lines are kept, so that what differs is a query over two tables (the view `reconciliation_difference`) and not a
//! matter of who was looking when.
//!
//! One instance at a time reads and settles, to spare the provider; that two do it at once does no harm.
//!
//! Trap: what is being written down this moment differs as well. Settling it is harmless; telling of it waits for a minute.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods, Insertable, IntoSql, QueryDsl, QueryableByName, dsl::exists, insert_into, select, sql_query,
    sql_types,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::database::{Connection, DatabaseError, sql};

use crate::{
    Payments,
    payment::{
        TransactionKind,
        settle::{Unsettled, locate, settle},
    },
    provider::{Operation, Statement, Unknown},
    schema::{statement, statement_line},
};

/// How many lines are read at a time.
const PAGE: usize = 500;
/// How many pages one run reads at most.
const PAGES: usize = 200;
/// How many payments one run settles at most.
const SETTLED: i64 = 200;

/// What is wrong with a line that the provider has forgotten.
const FORGOTTEN: &str = "the provider stated it once, and does not any more";

/// Why a run left something undone; the next one goes on.
#[derive(Debug)]
pub(crate) enum Interrupted {
    /// The provider gave no answer to go by.
    Provider(String),
    /// The database's fault.
    Database(DatabaseError),
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Provider(reason) => f.write_str(reason),
            Self::Database(error) => write!(f, "{error}"),
        }
    }
}

impl From<Unknown> for Interrupted {
    fn from(Unknown(reason): Unknown) -> Self {
        Self::Provider(reason)
    }
}

impl From<DatabaseError> for Interrupted {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<diesel::result::Error> for Interrupted {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

#[derive(Insertable)]
#[diesel(table_name = statement_line)]
struct NewLine<'a> {
    reference: &'a str,
    sequence: i64,
    payment: &'a str,
    kind: TransactionKind,
    amount: i64,
    refusal: Option<&'a str>,
}

#[derive(QueryableByName)]
struct Missing {
    #[diesel(sql_type = sql_types::Text)]
    payment: String,
}

#[derive(QueryableByName)]
struct Difference {
    #[diesel(sql_type = sql_types::Text)]
    reference: String,
    #[diesel(sql_type = sql_types::Text)]
    difference: String,
}

/// Reads the statement on, writes down what the ledger does not know, and logs what stays different, for an hour; the audit
/// tells of it as long as it does.
pub(crate) async fn reconcile(payments: Payments) -> Result<(), Interrupted> {
    read_on(&payments).await?;
    compare(&payments).await?;
    let mut first_error = None;
    for Missing { payment } in missing(&payments).await? {
        match write_down(&payments, &payment).await {
            Ok(None) => {}
            Ok(Some(problem)) => doubt(&payments, &payment, &problem).await?,
            Err(Interrupted::Database(error)) if error.is_unavailable() => return Err(error.into()),
            // What ails one payment must not hide the others.
            Err(error) => {
                tracing::warn!(payment, %error, "not reconciled; it is tried again in the next run");
                first_error.get_or_insert(error);
            }
        }
    }
    compare(&payments).await?;
    let mut connection = payments.database.connection().await?;
    let fresh =
        "select reference, difference from reconciliation_difference where since > now() - interval '1 hour' limit 20";
    let differences: Vec<Difference> = sql_query(fresh).load(&mut connection).await?;
    for Difference { reference, difference } in differences {
        tracing::error!(reference, difference, "our ledger and the provider's statement differ");
    }
    first_error.map_or(Ok(()), Err)
}

/// Reads the statement to its end, page by page; nobody waits for the provider with a connection in hand.
async fn read_on(payments: &Payments) -> Result<(), Interrupted> {
    for _ in 0..PAGES {
        let mut connection = payments.database.connection().await?;
        let now = diesel::dsl::now.into_sql::<sql_types::Timestamptz>();
        let (after, now): (i64, DateTime<Utc>) =
            statement::table.select((statement::sequence, now)).first(&mut connection).await?;
        drop(connection);
        // From the last line that was read: is it still there?
        let Statement { data, last } = payments.provider.statement(after.saturating_sub(1).max(0), PAGE).await?;
        let mut tx = payments.database.begin().await?;
        let goes_on = after == 0 || states_again(&mut tx, after, data.as_slice().first()).await?;
        import(&mut tx, &data).await?;
        if !goes_on {
            // Its places began anew, so that what it does now has places that were read before: all is read once more.
            forgotten(&mut tx, (last, i64::MAX), &[]).await?;
            diesel::update(statement::table).set(statement::sequence.eq(0)).execute(&mut tx).await?;
            tx.commit().await?;
            continue;
        }
        let read = data.last().map_or(after, |line| line.sequence);
        forgotten(&mut tx, (after, read), &data).await?;
        let complete = data.len() < PAGE;
        // Of two instances the one that read further counts.
        sql("update statement set sequence = greatest(sequence, $1),
                 complete_until = case when $2 then greatest(complete_until, $3) else complete_until end")
        .bind::<sql_types::BigInt, _>(read)
        .bind::<sql_types::Bool, _>(complete)
        .bind::<sql_types::Timestamptz, _>(now)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        if complete {
            break;
        }
    }
    Ok(())
}

/// Whether the line at this place is the one that we know.
async fn states_again(
    connection: &mut AsyncPgConnection,
    place: i64,
    line: Option<&Operation>,
) -> Result<bool, Interrupted> {
    let Some(line) = line.filter(|line| line.sequence == place) else { return Ok(false) };
    let known = statement_line::table.find(&line.reference).filter(statement_line::sequence.eq(place));
    Ok(select(exists(known)).get_result(connection).await?)
}

async fn import(connection: &mut AsyncPgConnection, lines: &[Operation]) -> Result<(), Interrupted> {
    let lines: Vec<NewLine<'_>> = lines
        .iter()
        .map(|line| NewLine {
            reference: &line.reference,
            sequence: line.sequence,
            payment: &line.payment,
            kind: line.kind,
            amount: line.amount.amount,
            refusal: line.refusal.as_deref(),
        })
        .collect();
    insert_into(statement_line::table).values(&lines).on_conflict_do_nothing().execute(connection).await?;
    Ok(())
}

/// What the provider once stated after the first and up to the second place, and does not state there any more.
async fn forgotten(
    connection: &mut AsyncPgConnection,
    (after, until): (i64, i64),
    stated: &[Operation],
) -> Result<(), Interrupted> {
    let stated = stated.iter().map(|line| line.reference.as_str());
    let doubted = diesel::update(statement_line::table.filter(statement_line::sequence.gt(after)))
        .filter(statement_line::sequence.le(until))
        .filter(statement_line::reference.ne_all(stated))
        .filter(statement_line::problem.is_null())
        .set(statement_line::problem.eq(FORGOTTEN))
        .execute(connection)
        .await?;
    if doubted > 0 {
        tracing::error!(operations = doubted, "the provider has forgotten what it had stated");
    }
    Ok(())
}

/// Marks the lines that are written down as well, and the authorization of a charge of which everything goes back. Why a
/// line could not be written down before is a problem no more.
async fn compare(payments: &Payments) -> Result<(), Interrupted> {
    let mut connection = payments.database.connection().await?;
    for compared in [
        "update statement_line line set matched = true, problem = case problem when $1 then problem end
         from known_operation known
         where not line.matched and line.refusal is null and known.provider_reference = line.reference
           and known.kind = line.kind and known.amount = line.amount",
        "update statement_line line set matched = true, problem = case problem when $1 then problem end from surplus
         where not line.matched and line.refusal is null and line.kind = 'authorize' and line.payment = surplus.charge
           and not exists (select from payment where provider_reference = surplus.charge)",
    ] {
        sql_query(compared).bind::<sql_types::Text, _>(FORGOTTEN).execute(&mut connection).await?;
    }
    Ok(())
}

/// The payments of which the provider did something that the ledger does not know.
async fn missing(payments: &Payments) -> Result<Vec<Missing>, Interrupted> {
    let mut connection = payments.database.connection().await?;
    let missing = sql("select line.payment from statement_line line
         where not line.matched and line.refusal is null
           and not exists (select from known_operation known where known.provider_reference = line.reference)
         group by line.payment order by min(line.problem) nulls first, min(line.sequence) limit $1")
    .bind::<sql_types::BigInt, _>(SETTLED)
    .load(&mut connection)
    .await?;
    Ok(missing)
}

/// Has written down what the provider did of a payment; or why that cannot be.
async fn write_down(payments: &Payments, reference: &str) -> Result<Option<String>, Interrupted> {
    let Some(seen) = payments.provider.payment(reference).await? else {
        return Ok(Some("the provider states it, and does not know the payment".to_owned()));
    };
    let Some(payment) = locate(&payments.database, &seen).await? else {
        return Ok(Some(format!("no payment of ours was to be authorized as {}", seen.authorization)));
    };
    match settle(payments, payment, &seen, None).await {
        Ok(settled) => {
            tracing::info!(%payment, status = %settled.payment.status, "reconciled");
            resolve(payments, reference).await?;
            Ok(None)
        }
        Err(Unsettled::Database(error)) => Err(error.into()),
        Err(Unsettled::Contradiction(reason)) => Ok(Some(reason)),
    }
}

/// Keeps why the lines of a payment cannot be brought together with the ledger.
async fn doubt(payments: &Payments, reference: &str, problem: &str) -> Result<(), Interrupted> {
    let mut connection: Connection = payments.database.connection().await?;
    sql("update statement_line line set problem = $2
         where line.payment = $1 and line.refusal is null and line.problem is distinct from $2
           and not exists (select from known_operation known where known.provider_reference = line.reference)")
    .bind::<sql_types::Text, _>(reference)
    .bind::<sql_types::Text, _>(problem)
    .execute(&mut connection)
    .await?;
    Ok(())
}

/// What was a problem before is none any more.
async fn resolve(payments: &Payments, reference: &str) -> Result<(), Interrupted> {
    let mut connection: Connection = payments.database.connection().await?;
    diesel::update(statement_line::table.filter(statement_line::payment.eq(reference)))
        .filter(statement_line::problem.is_not_null())
        .set(statement_line::problem.eq(None::<String>))
        .execute(&mut connection)
        .await?;
    Ok(())
}
