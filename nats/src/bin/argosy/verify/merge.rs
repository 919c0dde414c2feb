//! What all services know of each order, side by side: their pages, sorted by order, merged.
//!
//! One page of each service is in memory at a time. Pages are read at different moments of a moving system, so what they
//! seem to contradict is looked at again, order by order, before it is believed.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;
use nats::{
    contracts::{
        catalog::AuditedReservation, invoice::AuditedInvoice, notify::AuditedMail, order::AuditedOrder,
        payment::AuditedPayment,
    },
    types::OrderId,
};
use uuid::Uuid;

/// How many orders a page has.
const PAGE: i64 = 1000;

/// What one service knows of one order.
pub(crate) trait OfOrder: Send + 'static {
    /// Which order.
    fn order_id(&self) -> OrderId;
}

macro_rules! of_order {
    ($($name:ty),+) => {
        $(impl OfOrder for $name {
            fn order_id(&self) -> OrderId {
                self.order_id
            }
        })+
    };
}

of_order!(AuditedOrder, AuditedPayment, AuditedReservation, AuditedInvoice, AuditedMail);

/// Asks for at most so many entries after an order.
pub(crate) type Fetch<T> =
    Box<dyn Fn(Option<OrderId>, i64) -> BoxFuture<'static, Result<Vec<T>, String>> + Send + Sync>;

/// One service's entries, page by page.
pub(crate) struct Feed<T> {
    fetch: Fetch<T>,
    page: VecDeque<T>,
    /// The last order that a page had.
    last: Option<OrderId>,
    ended: bool,
}

impl<T: OfOrder> Feed<T> {
    pub(crate) fn new(fetch: Fetch<T>) -> Self {
        Self { fetch, page: VecDeque::new(), last: None, ended: false }
    }

    /// The order of the next entry; the next page is asked for when this one is used up.
    async fn head(&mut self) -> Result<Option<OrderId>, String> {
        if self.page.is_empty() && !self.ended {
            let page = (self.fetch)(self.last, PAGE).await?;
            for entry in &page {
                let order = Some(entry.order_id());
                if order <= self.last {
                    return Err(format!("a page is not in order: {:?} comes after {:?}", order, self.last));
                }
                self.last = order;
            }
            self.ended = page.is_empty();
            self.page = page.into();
        }
        Ok(self.page.front().map(OfOrder::order_id))
    }

    /// The next entry, if it is this order's.
    fn take(&mut self, order: OrderId) -> Option<T> {
        if self.page.front().is_some_and(|entry| entry.order_id() == order) { self.page.pop_front() } else { None }
    }

    /// The entry of this order as it is now.
    async fn now(&self, order: OrderId) -> Result<Option<T>, String> {
        let before = order.uuid().as_u128().checked_sub(1).map(|before| OrderId::from_uuid(Uuid::from_u128(before)));
        let found = (self.fetch)(before, 1).await?;
        Ok(found.into_iter().next().filter(|entry| entry.order_id() == order))
    }
}

/// All that is known of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) order_id: OrderId,
    pub(crate) order: Option<AuditedOrder>,
    pub(crate) payment: Option<AuditedPayment>,
    pub(crate) reservation: Option<AuditedReservation>,
    pub(crate) invoice: Option<AuditedInvoice>,
    pub(crate) mails: Option<AuditedMail>,
}

/// The books of all services.
pub(crate) struct Books {
    pub(crate) orders: Feed<AuditedOrder>,
    pub(crate) payments: Feed<AuditedPayment>,
    pub(crate) reservations: Feed<AuditedReservation>,
    pub(crate) invoices: Feed<AuditedInvoice>,
    pub(crate) mails: Feed<AuditedMail>,
}

impl Books {
    /// The next order that any of them knows, by id; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Case>, String> {
        let Self { orders, payments, reservations, invoices, mails } = self;
        let heads =
            tokio::try_join!(orders.head(), payments.head(), reservations.head(), invoices.head(), mails.head());
        let (order, payment, reservation, invoice, mail) = heads?;
        let first = [order, payment, reservation, invoice, mail].into_iter().flatten().min();
        Ok(first.map(|order_id| Case {
            order_id,
            order: orders.take(order_id),
            payment: payments.take(order_id),
            reservation: reservations.take(order_id),
            invoice: invoices.take(order_id),
            mails: mails.take(order_id),
        }))
    }

    /// What all of them know of one order now.
    pub(crate) async fn now(&self, order_id: OrderId) -> Result<Case, String> {
        let (order, payment, reservation, invoice, mails) = tokio::try_join!(
            self.orders.now(order_id),
            self.payments.now(order_id),
            self.reservations.now(order_id),
            self.invoices.now(order_id),
            self.mails.now(order_id)
        )?;
        Ok(Case { order_id, order, payment, reservation, invoice, mails })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn id(number: u128) -> OrderId {
        OrderId::from_uuid(Uuid::from_u128(number))
    }

    fn reservation(number: u128) -> AuditedReservation {
        AuditedReservation { order_id: id(number), state: "sold".to_owned(), pieces: 1 }
    }

    fn mail(number: u128) -> AuditedMail {
        AuditedMail { order_id: id(number), confirmations: 1, cancellations: 0, invoices: 1, unsent: 0 }
    }

    /// A service with these entries that answers pages of at most `page`.
    fn pages<T: OfOrder + Clone + Sync>(entries: Vec<T>, page: usize) -> Feed<T> {
        Feed::new(Box::new(move |after, limit| {
            let limit = usize::try_from(limit).unwrap().min(page);
            let rows = entries.iter().filter(|entry| after.is_none_or(|after| entry.order_id() > after));
            let rows: Vec<T> = rows.take(limit).cloned().collect();
            async move { Ok(rows) }.boxed()
        }))
    }

    fn books(reservations: Feed<AuditedReservation>, mails: Feed<AuditedMail>) -> Books {
        let (orders, payments, invoices) = (pages(vec![], 1), pages(vec![], 1), pages(vec![], 1));
        Books { orders, payments, reservations, invoices, mails }
    }

    async fn walk(mut books: Books) -> Result<Vec<(OrderId, bool, bool)>, String> {
        let mut seen = Vec::new();
        while let Some(case) = books.next().await? {
            seen.push((case.order_id, case.reservation.is_some(), case.mails.is_some()));
        }
        Ok(seen)
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest! {
        /// Whatever each knows, and however it comes in pages: every order comes once, in order, with all of it.
        #[test]
        fn every_order_comes_once_with_all_that_is_known(
            left in prop::collection::btree_set(0_u128..60, 0..40),
            right in prop::collection::btree_set(0_u128..60, 0..40),
            page in 1_usize..7,
        ) {
            let reservations = pages(left.iter().copied().map(reservation).collect(), page);
            let mails = pages(right.iter().copied().map(mail).collect(), page);
            let seen = run(walk(books(reservations, mails))).unwrap();
            let expected: Vec<_> =
                left.union(&right).map(|n| (id(*n), left.contains(n), right.contains(n))).collect();
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn pages_out_of_order_are_refused_instead_of_read_for_ever() {
        let same_again: Feed<AuditedMail> = Feed::new(Box::new(|_, _| async { Ok(vec![mail(7)]) }.boxed()));
        let error = run(walk(books(pages(vec![], 1), same_again))).unwrap_err();
        assert!(error.contains("not in order"), "{error}");
    }

    #[test]
    fn an_answer_that_is_missing_is_an_error_and_not_an_end() {
        let away: Feed<AuditedMail> = Feed::new(Box::new(|_, _| async { Err("notify is away".to_owned()) }.boxed()));
        assert_eq!(run(walk(books(pages(vec![reservation(1)], 1), away))), Err("notify is away".to_owned()));
    }

    #[test]
    fn one_order_can_be_looked_at_again() {
        let books = books(pages(vec![reservation(0), reservation(2)], 9), pages(vec![mail(1), mail(2)], 9));
        for (number, reserved, mailed) in [(0, true, false), (1, false, true), (2, true, true), (3, false, false)] {
            let case = run(books.now(id(number))).unwrap();
            assert_eq!((case.reservation.is_some(), case.mails.is_some()), (reserved, mailed), "order {number}");
        }
    }
}
