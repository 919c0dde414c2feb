//! The next number of a series, without gaps.

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, QueryableByName, insert_into, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    consume::Failure,
    database::{Tx, sql},
};

use super::Invoice;
use crate::schema::{invoice, number_series};

/// How many numbers of a caller's own may stand in a row where the series would go on.
const MOST_TAKEN: i64 = 10_000;

/// Takes the next number of the invoice's series and year: `A-2026-000001`, with its sequence.
///
/// The series' row stays locked until the transaction ends: the next one waits, and a rollback leaves no gap. Numbers
/// that callers brought themselves are passed over.
///
/// # Errors
/// The database's, or dead when more than 10,000 numbers in a row are taken.
pub(crate) async fn next(tx: &mut Tx, invoice: &Invoice) -> Result<(String, i64), Failure> {
    let sequence = take(tx, invoice).await?;
    let number = written(invoice, sequence);
    let taken: i64 = invoice::table
        .filter(invoice::seller_key.eq(&invoice.seller_key).and(invoice::number.eq(&number)))
        .count()
        .get_result(tx)
        .await?;
    if taken == 0 {
        return Ok((number, sequence));
    }
    let sequence = pass_over(tx, invoice, sequence).await?;
    Ok((written(invoice, sequence), sequence))
}

fn prefix(invoice: &Invoice) -> String {
    format!("{}-{}-", invoice.series, invoice.year)
}

fn written(invoice: &Invoice, sequence: i64) -> String {
    format!("{}{sequence:06}", prefix(invoice))
}

async fn take(tx: &mut Tx, invoice: &Invoice) -> Result<i64, Failure> {
    let first = (
        number_series::seller_key.eq(&invoice.seller_key),
        number_series::series.eq(&invoice.series),
        number_series::year.eq(invoice.year),
        number_series::next.eq(2),
    );
    Ok(insert_into(number_series::table)
        .values(first)
        .on_conflict((number_series::seller_key, number_series::series, number_series::year))
        .do_update()
        .set(number_series::next.eq(number_series::next + 1))
        .returning(number_series::next - 1)
        .get_result(tx)
        .await?)
}

/// The first sequence after `taken` whose number nobody has, taken.
async fn pass_over(tx: &mut Tx, invoice: &Invoice, taken: i64) -> Result<i64, Failure> {
    #[derive(QueryableByName)]
    struct Free {
        #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
        sequence: Option<i64>,
    }
    let free: Free = sql("select min(candidate) as sequence from generate_series($1, $1 + $2) as candidate
         where not exists (select from invoice where seller_key = $3
             and number = $4 || lpad(candidate::text, greatest(6, length(candidate::text)), '0'))")
    .bind::<sql_types::BigInt, _>(taken)
    .bind::<sql_types::BigInt, _>(MOST_TAKEN)
    .bind::<sql_types::Text, _>(&invoice.seller_key)
    .bind::<sql_types::Text, _>(prefix(invoice))
    .get_result(tx)
    .await?;
    let sequence = free.sequence.ok_or_else(|| {
        Failure::Dead(format!("over {MOST_TAKEN} numbers of series {} are taken from {taken} on", invoice.series))
    })?;
    let row = number_series::table.find((&invoice.seller_key, &invoice.series, invoice.year));
    diesel::update(row).set(number_series::next.eq(sequence + 1)).execute(tx).await?;
    Ok(sequence)
}
