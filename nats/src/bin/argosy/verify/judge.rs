//! What must be so of each order, whatever happened to it: goods, money, invoice and mails agree with its state.
//!
//! Trap: what was touched a moment ago is not judged. Events are on their way, and every one of these is promised for
//! when they have arrived.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use nats::types::{Currency, Money};

use super::{
    merge::Case,
    report::{Finding, Violations},
};

/// What must be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    Paid,
    PaidBack,
    Sold,
    Returned,
    Invoiced,
    NotInvoiced,
    Mailed,
    MailedCanceled,
    Moving,
    Known,
}

impl Invariant {
    const ALL: [Self; 10] = [
        Self::Paid,
        Self::PaidBack,
        Self::Sold,
        Self::Returned,
        Self::Invoiced,
        Self::NotInvoiced,
        Self::Mailed,
        Self::MailedCanceled,
        Self::Moving,
        Self::Known,
    ];

    const fn text(self) -> &'static str {
        match self {
            Self::Paid => "captured minus refunded is what confirmed orders owe",
            Self::PaidBack => "canceled orders have their money back, or it is on its way",
            Self::Sold => "every confirmed order has its goods",
            Self::Returned => "no canceled order keeps goods",
            Self::Invoiced => "every confirmed order has one invoice, of its total",
            Self::NotInvoiced => "no order is invoiced that was not confirmed",
            Self::Mailed => "every confirmed order has one confirmation and one invoice mail",
            Self::MailedCanceled => "every canceled order has one mail that says so",
            Self::Moving => "no pending order is left behind by its payment",
            Self::Known => "nothing is sold, paid, invoiced or mailed for an order that does not exist",
        }
    }
}

/// Whether nothing of the case is younger than `cutoff`, so that it can be judged.
pub(crate) fn is_settled(case: &Case, cutoff: DateTime<Utc>) -> bool {
    match &case.order {
        Some(order) => order.updated_at < cutoff,
        // Not written yet, perhaps: an order's id is made before it.
        None => case.order_id.uuid().get_version_num() != 7 || case.order_id.timestamp() < cutoff,
    }
}

/// Everything that is not as it must be, each as a sentence that names the order.
pub(crate) fn judge(case: &Case) -> Vec<(Invariant, String)> {
    let mut wrong = Wrong { case, found: Vec::new() };
    match case.order.as_ref().map(|order| order.status.as_str()) {
        Some("confirmed" | "completed") => confirmed(&mut wrong),
        Some("canceled") => canceled(&mut wrong),
        Some("pending") => pending(&mut wrong),
        Some(other) => wrong.add(Invariant::Known, format!("has the status `{other}`, which is none")),
        None => unknown(&mut wrong),
    }
    wrong.found
}

struct Wrong<'a> {
    case: &'a Case,
    found: Vec<(Invariant, String)>,
}

impl Wrong<'_> {
    fn add(&mut self, invariant: Invariant, what: impl AsRef<str>) {
        self.found.push((invariant, format!("{} {}", self.case.order_id, what.as_ref())));
    }

    fn unless(&mut self, holds: bool, invariant: Invariant, what: impl FnOnce() -> String) {
        if !holds {
            self.add(invariant, what());
        }
    }
}

fn confirmed(wrong: &mut Wrong<'_>) {
    let case = wrong.case;
    let Some(order) = &case.order else { return };
    match &case.payment {
        Some(payment) => {
            wrong.unless(payment.captured == order.total && payment.refunded == order.refunded, Invariant::Paid, || {
                format!(
                    "is {} over {}, of which {} went back; its payment is {}, captured {}, refunded {}",
                    order.status, order.total, order.refunded, payment.status, payment.captured, payment.refunded
                )
            })
        }
        None => wrong.unless(order.total.is_zero(), Invariant::Paid, || {
            format!("is {} over {} and has no payment", order.status, order.total)
        }),
    }
    let reservation = state_of_goods(case);
    wrong
        .unless(reservation == "sold", Invariant::Sold, || format!("is {}; its goods are {reservation}", order.status));
    match &case.invoice {
        Some(invoice) => {
            wrong.unless(invoice.invoices == 1 && invoice.total == order.total, Invariant::Invoiced, || {
                let (count, sum) = (invoice.invoices, invoice.total);
                format!("comes to {}; it has {count} invoices over {sum}", order.total)
            });
        }
        None => wrong.add(Invariant::Invoiced, format!("is {} and has no invoice", order.status)),
    }
    let mails = Mails::of(case);
    // What is not rendered yet has no link to send; svc-invoice tells whether that takes too long.
    let invoice_mails = i64::from(case.invoice.as_ref().is_some_and(|invoice| invoice.rendered));
    wrong.unless(
        mails == Mails { confirmations: 1, cancellations: 0, invoices: invoice_mails },
        Invariant::Mailed,
        || format!("is {}, {} of its invoices rendered; it has {mails}", order.status, invoice_mails),
    );
}

fn canceled(wrong: &mut Wrong<'_>) {
    let case = wrong.case;
    let Some(order) = &case.order else { return };
    if let Some(payment) = &case.payment {
        let kept = payment.captured.checked_sub(payment.refunded);
        let returned = kept.is_ok_and(|kept| kept == payment.refund_pending) && payment.refunded == order.refunded;
        wrong.unless(returned, Invariant::PaidBack, || {
            format!(
                "is canceled, of which it knows {} to have gone back; its payment is {}, captured {}, refunded {}, on its \
                 way {}",
                order.refunded, payment.status, payment.captured, payment.refunded, payment.refund_pending
            )
        });
    } else {
        wrong.unless(order.refunded.is_zero(), Invariant::PaidBack, || {
            format!("is canceled and knows {} to have gone back, but has no payment", order.refunded)
        });
    }
    let reservation = state_of_goods(case);
    wrong.unless(!matches!(reservation, "sold" | "held"), Invariant::Returned, || {
        format!("is canceled; its goods are {reservation}")
    });
    let mails = Mails::of(case);
    if let Some(invoice) = &case.invoice {
        wrong.unless(mails.confirmations > 0, Invariant::NotInvoiced, || {
            format!("is canceled, was never confirmed, and has {} invoices over {}", invoice.invoices, invoice.total)
        });
    }
    wrong.unless(mails.cancellations == 1, Invariant::MailedCanceled, || format!("is canceled; it has {mails}"));
}

fn pending(wrong: &mut Wrong<'_>) {
    let case = wrong.case;
    let Some(order) = &case.order else { return };
    // What it does know of, it is working on; svc-order tells whether that takes too long.
    let waits = order.payment_status == "awaiting" || order.payment_status == "authorized";
    if let Some(payment) = case.payment.as_ref().filter(|_| waits) {
        let over = matches!(payment.status.as_str(), "succeeded" | "failed" | "canceled");
        wrong.unless(!over && payment.captured.is_zero(), Invariant::Moving, || {
            let (status, captured) = (&payment.status, payment.captured);
            format!(
                "is pending, its payment {}; the payment itself is {status}, captured {captured}",
                order.payment_status
            )
        });
    }
    let invoices = case.invoice.as_ref().map_or(0, |invoice| invoice.invoices);
    wrong.unless(invoices == 0, Invariant::NotInvoiced, || format!("is pending and has {invoices} invoices"));
}

fn unknown(wrong: &mut Wrong<'_>) {
    let case = wrong.case;
    let mut has = Vec::new();
    if let Some(payment) = &case.payment {
        has.push(format!("a payment ({}, captured {})", payment.status, payment.captured));
    }
    // Goods that are held for an order that was not written come free by themselves.
    if state_of_goods(case) == "sold" {
        has.push("goods (sold)".to_owned());
    }
    if let Some(invoice) = &case.invoice {
        has.push(format!("{} invoices over {}", invoice.invoices, invoice.total));
    }
    if case.mails.is_some() {
        has.push(Mails::of(case).to_string());
    }
    wrong.unless(has.is_empty(), Invariant::Known, || format!("does not exist; there are {}", has.join(", ")));
}

fn state_of_goods(case: &Case) -> &str {
    case.reservation.as_ref().map_or("not reserved", |reservation| reservation.state.as_str())
}

/// How often its customer was told what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Mails {
    confirmations: i64,
    cancellations: i64,
    invoices: i64,
}

impl Mails {
    fn of(case: &Case) -> Self {
        case.mails.as_ref().map_or_else(Self::default, |mails| Self {
            confirmations: mails.confirmations,
            cancellations: mails.cancellations,
            invoices: mails.invoices,
        })
    }
}

impl std::fmt::Display for Mails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { confirmations, cancellations, invoices } = self;
        write!(f, "{confirmations} confirmations, {cancellations} cancellations and {invoices} invoice mails")
    }
}

/// Sums of money by currency.
#[derive(Debug, Default)]
struct Sums(BTreeMap<Currency, i64>);

impl Sums {
    fn add(&mut self, amount: Money) {
        let sum = self.0.entry(amount.currency).or_default();
        *sum = sum.saturating_add(amount.amount);
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sums: Vec<String> = self.0.iter().map(|(currency, sum)| Money::new(*sum, *currency).to_string()).collect();
        f.write_str(if sums.is_empty() { "nothing" } else { "" })?;
        f.write_str(&sums.join(" + "))
    }
}

/// The figures of all cases that were judged.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    confirmed: Sort,
    canceled: Sort,
    pending: u64,
    unknown: u64,
    /// Left out for being too young.
    young: u64,
}

/// The figures of one sort of order.
#[derive(Debug, Default)]
struct Sort {
    orders: u64,
    totals: Sums,
    refunded: Sums,
    captured: Sums,
    paid_back: Sums,
    on_their_way: Sums,
    pieces: i64,
    invoices: i64,
    invoiced: Sums,
    not_rendered: u64,
    mails: Mails,
    unsent: i64,
}

impl Tally {
    /// Counts a case that is judged.
    pub(crate) fn count(&mut self, case: &Case) {
        let sort = match case.order.as_ref().map(|order| order.status.as_str()) {
            Some("confirmed" | "completed") => &mut self.confirmed,
            Some("canceled") => &mut self.canceled,
            Some(_) => return self.pending += 1,
            None => return self.unknown += 1,
        };
        sort.orders += 1;
        if let Some(order) = &case.order {
            sort.totals.add(order.total);
            sort.refunded.add(order.refunded);
        }
        if let Some(payment) = &case.payment {
            sort.captured.add(payment.captured);
            sort.paid_back.add(payment.refunded);
            sort.on_their_way.add(payment.refund_pending);
        }
        if let Some(reservation) = case.reservation.as_ref().filter(|reservation| reservation.state == "sold") {
            sort.pieces += reservation.pieces;
        }
        if let Some(invoice) = &case.invoice {
            sort.invoices += invoice.invoices;
            sort.invoiced.add(invoice.total);
            sort.not_rendered += u64::from(!invoice.rendered);
        }
        if let Some(mails) = &case.mails {
            sort.mails.confirmations += mails.confirmations;
            sort.mails.cancellations += mails.cancellations;
            sort.mails.invoices += mails.invoices;
            sort.unsent += mails.unsent;
        }
    }

    /// Counts a case that is too young to be judged.
    pub(crate) const fn leave_out(&mut self) {
        self.young += 1;
    }

    fn figures(&self, invariant: Invariant) -> String {
        let Self { confirmed, canceled, pending, unknown, young } = self;
        match invariant {
            Invariant::Paid => format!(
                "{} orders over {}, of which {} went back; captured {}, refunded {}",
                confirmed.orders, confirmed.totals, confirmed.refunded, confirmed.captured, confirmed.paid_back
            ),
            Invariant::PaidBack => format!(
                "{} orders; captured {}, refunded {}, on its way {}",
                canceled.orders, canceled.captured, canceled.paid_back, canceled.on_their_way
            ),
            Invariant::Sold => format!("{} orders, {} pieces sold", confirmed.orders, confirmed.pieces),
            Invariant::Returned => format!("{} orders, {} pieces sold", canceled.orders, canceled.pieces),
            Invariant::Invoiced => format!(
                "{} orders, {} invoices over {}, {} not rendered yet",
                confirmed.orders, confirmed.invoices, confirmed.invoiced, confirmed.not_rendered
            ),
            Invariant::NotInvoiced => {
                format!("{} canceled orders, {} invoices; {pending} pending orders", canceled.orders, canceled.invoices)
            }
            Invariant::Mailed => {
                format!("{} orders, {}, {} not sent yet", confirmed.orders, confirmed.mails, confirmed.unsent)
            }
            Invariant::MailedCanceled => {
                format!("{} orders, {}, {} not sent yet", canceled.orders, canceled.mails, canceled.unsent)
            }
            Invariant::Moving => format!("{pending} pending orders, {young} orders too young to be judged"),
            Invariant::Known => format!("{unknown} unwritten orders that something is known of"),
        }
    }

    /// One finding per invariant.
    pub(crate) fn findings(&self, violations: Vec<(Invariant, String)>) -> Vec<Finding> {
        let mut of: BTreeMap<Invariant, Violations> = BTreeMap::new();
        for (invariant, violation) in violations {
            of.entry(invariant).or_default().add(violation);
        }
        let finding = |invariant: Invariant| {
            let violations = of.remove(&invariant).unwrap_or_default();
            Finding::of("orders", invariant.text(), self.figures(invariant), violations)
        };
        Invariant::ALL.into_iter().map(finding).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests;
