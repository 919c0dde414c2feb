//! Orders against goods, money, invoices and mails, across the services.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use nats::{
    contracts::{
        Call, catalog::AuditReservations, invoice::AuditInvoices, notify::AuditMails, order::AuditOrders,
        payment::AuditPayments,
    },
    types::OrderId,
};

use super::{
    LOOKS, PAUSE,
    ask::Asker,
    judge::{Invariant, Tally, is_settled, judge},
    merge::{Books, Feed, Fetch, OfOrder},
    report::{Finding, Violations},
};

/// How many suspects are looked at again; with more than that, something else is wrong than some orders.
const SUSPECTS: usize = 10_000;
/// How many of them are looked at together.
const TOGETHER: usize = 8;

const AGREE: &str = "the orders of all services agree";

/// Compares all orders that were not touched since `cutoff`.
pub(crate) async fn compare(asker: &Asker, cutoff: DateTime<Utc>) -> Vec<Finding> {
    match walk(&mut books(asker), cutoff, PAUSE).await {
        Ok(findings) => findings,
        Err(reason) => {
            vec![Finding::of("orders", AGREE, "could not be compared", Violations::unknown(reason))]
        }
    }
}

/// Merges the books and judges; what seems wrong is looked at again up to [`LOOKS`] times, `pause` apart.
async fn walk(books: &mut Books, cutoff: DateTime<Utc>, pause: Duration) -> Result<Vec<Finding>, String> {
    let (mut tally, mut suspects) = (Tally::default(), BTreeSet::new());
    while let Some(case) = books.next().await? {
        if !is_settled(&case, cutoff) {
            tally.leave_out();
            continue;
        }
        tally.count(&case);
        if !judge(&case).is_empty() {
            suspects.insert(case.order_id);
        }
        if suspects.len() >= SUSPECTS {
            let many = format!("over {SUSPECTS} orders do not agree; the last one looked at is {}", case.order_id);
            let violations = Violations::from_iter([many]);
            return Ok(vec![Finding::of("orders", AGREE, "not compared any further", violations)]);
        }
    }
    let mut violations = Vec::new();
    for _ in 0..LOOKS {
        if suspects.is_empty() {
            break;
        }
        tokio::time::sleep(pause).await;
        violations = look_again(books, &suspects, cutoff).await?;
        suspects = violations.iter().map(|(order, ..)| *order).collect();
    }
    let violations = if suspects.is_empty() { Vec::new() } else { violations };
    Ok(tally.findings(violations.into_iter().map(|(_, invariant, text)| (invariant, text)).collect()))
}

/// What is still wrong with these orders.
async fn look_again(
    books: &Books,
    suspects: &BTreeSet<OrderId>,
    cutoff: DateTime<Utc>,
) -> Result<Vec<(OrderId, Invariant, String)>, String> {
    let looks = stream::iter(suspects.iter().copied()).map(|order| books.now(order)).buffered(TOGETHER);
    let found = looks.map_ok(|case| {
        let wrong = if is_settled(&case, cutoff) { judge(&case) } else { Vec::new() };
        stream::iter(wrong).map(move |(invariant, text)| Ok((case.order_id, invariant, text)))
    });
    found.try_flatten().try_collect().await
}

fn books(asker: &Asker) -> Books {
    Books {
        orders: feed(asker, |after, limit| AuditOrders { after, limit }, |page| page.orders),
        payments: feed(asker, |after, limit| AuditPayments { after, limit }, |page| page.payments),
        reservations: feed(asker, |after, limit| AuditReservations { after, limit }, |page| page.reservations),
        invoices: feed(asker, |after, limit| AuditInvoices { after, limit }, |page| page.orders),
        mails: feed(asker, |after, limit| AuditMails { after, limit }, |page| page.orders),
    }
}

/// The pages of one service.
fn feed<C: Call, T: OfOrder>(
    asker: &Asker,
    question: fn(Option<OrderId>, i64) -> C,
    entries: fn(C::Reply) -> Vec<T>,
) -> Feed<T> {
    let asker = asker.clone();
    let fetch: Fetch<T> = Box::new(move |after, limit| {
        let (asker, question) = (asker.clone(), question(after, limit));
        async move { asker.ask(C::SERVICE, &question).await.map(entries) }.boxed()
    });
    Feed::new(fetch)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use nats::{
        contracts::{order::AuditedOrder, payment::AuditedPayment},
        types::{Currency, Money},
    };

    use super::*;

    const LONG_AGO: &str = "2026-11-20T12:00:00Z";

    /// Nobody knows anything.
    fn nothing<T: OfOrder>() -> Feed<T> {
        Feed::new(Box::new(|_, _| async { Ok(Vec::new()) }.boxed()))
    }

    /// A pending order that is left behind by its payment in the first `n` looks.
    fn books(order_id: OrderId, n: usize, updated_at: &str) -> Books {
        let euro = |cents| Money::new(cents, Currency::EUR);
        let pending = AuditedOrder {
            order_id,
            status: "pending".to_owned(),
            payment_status: "awaiting".to_owned(),
            total: euro(100),
            refunded: euro(0),
            updated_at: updated_at.parse().unwrap(),
        };
        let looks = Arc::new(AtomicUsize::new(0));
        let first = move |after: Option<OrderId>| after.is_none_or(|after| after < order_id);
        let orders: Fetch<AuditedOrder> = Box::new(move |after, _| {
            let page = if first(after) { vec![pending.clone()] } else { Vec::new() };
            async { Ok(page) }.boxed()
        });
        let payments: Fetch<AuditedPayment> = Box::new(move |after, _| {
            let mut page = Vec::new();
            if first(after) {
                let status = if looks.fetch_add(1, Ordering::SeqCst) < n { "succeeded" } else { "processing" };
                let (captured, refunded, refund_pending) = (euro(0), euro(0), euro(0));
                page.push(AuditedPayment { order_id, status: status.to_owned(), captured, refunded, refund_pending });
            }
            async { Ok(page) }.boxed()
        });
        Books {
            orders: Feed::new(orders),
            payments: Feed::new(payments),
            reservations: nothing(),
            invoices: nothing(),
            mails: nothing(),
        }
    }

    async fn violated(mut books: Books) -> Vec<String> {
        let cutoff = "2026-11-20T13:00:00Z".parse().unwrap();
        let findings = walk(&mut books, cutoff, Duration::ZERO).await.unwrap();
        findings.into_iter().flat_map(|finding| finding.check.violations).collect()
    }

    #[tokio::test]
    async fn what_seems_wrong_is_looked_at_again() {
        let order = OrderId::new();
        assert_eq!(violated(books(order, 0, LONG_AGO)).await.len(), 0, "nothing is wrong");
        assert_eq!(violated(books(order, LOOKS, LONG_AGO)).await.len(), 0, "right at the last look");
        let found = violated(books(order, LOOKS + 1, LONG_AGO)).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&order.to_string()), "{found:?}");
    }

    #[tokio::test]
    async fn what_moves_is_left_out() {
        assert_eq!(violated(books(OrderId::new(), 99, "2026-11-20T14:00:00Z")).await.len(), 0);
    }
}
