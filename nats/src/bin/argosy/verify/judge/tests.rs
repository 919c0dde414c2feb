//! Each invariant, and what violates it.

use nats::{
    contracts::{
        catalog::AuditedReservation, invoice::AuditedInvoice, notify::AuditedMail, order::AuditedOrder,
        payment::AuditedPayment,
    },
    types::OrderId,
};

use super::*;

fn euro(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

/// An order over 100 euro of this status, with all that belongs to it.
fn order(status: &str) -> Case {
    let (order_id, confirmed, canceled) = (OrderId::new(), status == "confirmed", status == "canceled");
    let order = AuditedOrder {
        order_id,
        status: status.to_owned(),
        payment_status: if confirmed { "captured" } else { "awaiting" }.to_owned(),
        total: euro(10_000),
        refunded: euro(0),
        updated_at: "2026-11-20T12:00:00Z".parse().unwrap(),
    };
    let payment = AuditedPayment {
        order_id,
        status: if confirmed { "succeeded" } else { "processing" }.to_owned(),
        captured: euro(if confirmed { 10_000 } else { 0 }),
        refunded: euro(0),
        refund_pending: euro(0),
    };
    let state = if confirmed { "sold" } else { "released" }.to_owned();
    let invoice = AuditedInvoice { order_id, invoices: 1, total: euro(10_000), rendered: true };
    let told = i64::from(confirmed);
    let mails =
        AuditedMail { order_id, confirmations: told, cancellations: i64::from(canceled), invoices: told, unsent: 0 };
    Case {
        order_id,
        order: Some(order),
        payment: Some(payment),
        reservation: Some(AuditedReservation { order_id, state, pieces: 3 }),
        invoice: confirmed.then_some(invoice),
        mails: (confirmed || canceled).then_some(mails),
    }
}

/// Which invariants are violated once the order was changed.
fn violated(status: &str, change: impl FnOnce(&mut Case)) -> Vec<Invariant> {
    let mut case = order(status);
    change(&mut case);
    let found = judge(&case);
    assert!(found.iter().all(|(_, text)| text.starts_with(&case.order_id.to_string())), "{found:?}");
    found.into_iter().map(|(invariant, _)| invariant).collect()
}

macro_rules! edit {
    ($part:ident . $field:ident = $value:expr) => {
        |case: &mut Case| case.$part.as_mut().unwrap().$field = $value
    };
}

#[test]
fn nothing_is_wrong_with_an_order_that_has_what_belongs_to_it() {
    for status in ["confirmed", "canceled", "pending"] {
        assert_eq!(violated(status, |_| ()), [], "{status}");
    }
    assert_eq!(violated("confirmed", edit!(order.status = "completed".to_owned())), []);
}

#[test]
fn a_confirmed_order_has_its_money() {
    use Invariant::Paid;
    assert_eq!(violated("confirmed", edit!(payment.captured = euro(0))), [Paid], "confirmed without a capture");
    assert_eq!(violated("confirmed", edit!(payment.captured = euro(20_000))), [Paid], "captured twice");
    assert_eq!(violated("confirmed", edit!(payment.refunded = euro(1_000))), [Paid], "the order does not know");
    assert_eq!(violated("confirmed", edit!(order.refunded = euro(1_000))), [Paid], "it did not happen");
    assert_eq!(violated("confirmed", edit!(payment.captured = Money::new(10_000, Currency::JPY))), [Paid], "currency");
    assert_eq!(violated("confirmed", |case| case.payment = None), [Paid], "no payment");
    let refunded = |case: &mut Case| {
        case.payment.as_mut().unwrap().refunded = euro(1_000);
        case.order.as_mut().unwrap().refunded = euro(1_000);
    };
    assert_eq!(violated("confirmed", refunded), [], "a refund that both know of");
    let free = |case: &mut Case| {
        case.payment = None;
        case.order.as_mut().unwrap().total = euro(0);
        case.invoice.as_mut().unwrap().total = euro(0);
    };
    assert_eq!(violated("confirmed", free), [], "what costs nothing needs no payment");
}

#[test]
fn a_confirmed_order_has_its_goods() {
    for state in ["held", "released", "expired"] {
        assert_eq!(violated("confirmed", edit!(reservation.state = state.to_owned())), [Invariant::Sold], "{state}");
    }
    assert_eq!(violated("confirmed", |case| case.reservation = None), [Invariant::Sold]);
}

#[test]
fn a_confirmed_order_has_one_invoice_of_its_total() {
    use Invariant::{Invoiced, Mailed};
    assert_eq!(violated("confirmed", edit!(invoice.invoices = 2)), [Invoiced]);
    assert_eq!(violated("confirmed", edit!(invoice.total = euro(9_999))), [Invoiced]);
    assert_eq!(violated("confirmed", |case| case.invoice = None), [Invoiced, Mailed], "a mail about no invoice");
}

#[test]
fn a_confirmed_order_has_its_two_mails_once() {
    use Invariant::Mailed;
    for times in [0, 2] {
        assert_eq!(violated("confirmed", edit!(mails.confirmations = times)), [Mailed], "{times} confirmations");
        assert_eq!(violated("confirmed", edit!(mails.invoices = times)), [Mailed], "{times} invoice mails");
    }
    assert_eq!(violated("confirmed", edit!(mails.cancellations = 1)), [Mailed]);
    assert_eq!(violated("confirmed", |case| case.mails = None), [Mailed]);
    let waits = |case: &mut Case| {
        case.invoice.as_mut().unwrap().rendered = false;
        case.mails.as_mut().unwrap().invoices = 0;
    };
    assert_eq!(violated("confirmed", waits), [], "an invoice is mailed once it is rendered");
    assert_eq!(violated("confirmed", edit!(invoice.rendered = false)), [Mailed], "and not before");
}

#[test]
fn a_canceled_order_has_its_money_back() {
    use Invariant::PaidBack;
    assert_eq!(violated("canceled", edit!(payment.captured = euro(10_000))), [PaidBack], "kept");
    let back = |refunded, pending, known| {
        move |case: &mut Case| {
            let payment = case.payment.as_mut().unwrap();
            (payment.captured, payment.refunded, payment.refund_pending) =
                (euro(10_000), euro(refunded), euro(pending));
            case.order.as_mut().unwrap().refunded = euro(known);
        }
    };
    assert_eq!(violated("canceled", back(10_000, 0, 10_000)), [], "all of it went back");
    assert_eq!(violated("canceled", back(0, 10_000, 0)), [], "it is on its way");
    assert_eq!(violated("canceled", back(4_000, 5_000, 4_000)), [PaidBack], "some of it is forgotten");
    assert_eq!(violated("canceled", back(10_000, 0, 0)), [PaidBack], "the order does not know");
    let nothing_paid = |case: &mut Case| {
        case.payment = None;
        case.order.as_mut().unwrap().refunded = euro(5);
    };
    assert_eq!(violated("canceled", nothing_paid), [PaidBack]);
    assert_eq!(violated("canceled", |case| case.payment = None), [], "nothing was ever asked for");
}

#[test]
fn a_canceled_order_keeps_no_goods() {
    for (state, expected) in
        [("held", vec![Invariant::Returned]), ("sold", vec![Invariant::Returned]), ("expired", vec![])]
    {
        assert_eq!(violated("canceled", edit!(reservation.state = state.to_owned())), expected, "{state}");
    }
    assert_eq!(violated("canceled", |case| case.reservation = None), []);
}

#[test]
fn only_what_was_confirmed_is_invoiced() {
    let invoiced = |case: &mut Case| {
        let order_id = case.order_id;
        case.invoice = Some(AuditedInvoice { order_id, invoices: 1, total: euro(10_000), rendered: true });
    };
    assert_eq!(violated("canceled", invoiced), [Invariant::NotInvoiced]);
    assert_eq!(violated("pending", invoiced), [Invariant::NotInvoiced]);
    let confirmed_before = |case: &mut Case| {
        invoiced(case);
        case.mails.as_mut().unwrap().confirmations = 1;
    };
    assert_eq!(violated("canceled", confirmed_before), []);
}

#[test]
fn a_canceled_order_has_one_mail_that_says_so() {
    for times in [0, 2] {
        assert_eq!(violated("canceled", edit!(mails.cancellations = times)), [Invariant::MailedCanceled]);
    }
}

#[test]
fn a_pending_order_is_not_left_behind_by_its_payment() {
    for status in ["succeeded", "failed", "canceled"] {
        assert_eq!(violated("pending", edit!(payment.status = status.to_owned())), [Invariant::Moving], "{status}");
    }
    assert_eq!(violated("pending", edit!(payment.captured = euro(10_000))), [Invariant::Moving]);
    assert_eq!(violated("pending", edit!(payment.status = "requires_capture".to_owned())), []);
    assert_eq!(violated("pending", |case| case.payment = None), []);
    let noted = |case: &mut Case| {
        case.payment.as_mut().unwrap().status = "succeeded".to_owned();
        case.order.as_mut().unwrap().payment_status = "captured".to_owned();
    };
    assert_eq!(violated("pending", noted), [], "it knows, and is about to have its goods");
}

#[test]
fn nothing_is_there_for_an_order_that_is_not() {
    let only = |keep: fn(&Case, &mut Case)| {
        let whole = order("confirmed");
        let nothing =
            Case { order: None, payment: None, reservation: None, invoice: None, mails: None, ..whole.clone() };
        let mut case = nothing;
        keep(&whole, &mut case);
        judge(&case).into_iter().map(|(invariant, _)| invariant).collect::<Vec<_>>()
    };
    assert_eq!(only(|whole, case| case.payment = whole.payment.clone()), [Invariant::Known]);
    assert_eq!(only(|whole, case| case.reservation = whole.reservation.clone()), [Invariant::Known]);
    assert_eq!(only(|whole, case| case.invoice = whole.invoice.clone()), [Invariant::Known]);
    assert_eq!(only(|whole, case| case.mails = whole.mails.clone()), [Invariant::Known]);
    let held = |whole: &Case, case: &mut Case| {
        case.reservation =
            whole.reservation.clone().map(|goods| AuditedReservation { state: "held".to_owned(), ..goods });
    };
    assert_eq!(only(held), [], "what was reserved for a request that failed comes free by itself");
    assert_eq!(violated("lost", |_| ()), [Invariant::Known], "a status that is none");
}

#[test]
fn what_was_touched_a_moment_ago_is_not_judged() {
    let now = Utc::now();
    let settled = order("confirmed");
    assert!(is_settled(&settled, now));
    let mut touched = settled.clone();
    touched.order.as_mut().unwrap().updated_at = now;
    assert!(!is_settled(&touched, now));
    let unwritten = Case { order: None, ..settled };
    assert!(!is_settled(&unwritten, now - chrono::Duration::seconds(30)), "its order may still be written");
    assert!(is_settled(&unwritten, now + chrono::Duration::seconds(30)));
    let foreign = Case { order_id: OrderId::from_uuid(uuid::Uuid::from_u128(7)), ..unwritten };
    assert!(is_settled(&foreign, DateTime::UNIX_EPOCH), "an id that tells no time is judged");
}

#[test]
fn figures_are_of_what_was_judged() {
    let mut tally = Tally::default();
    for status in ["confirmed", "confirmed", "canceled", "pending"] {
        tally.count(&order(status));
    }
    tally.leave_out();
    let missing = Case { invoice: None, ..order("confirmed") };
    let findings = tally.findings(judge(&missing));
    let of =
        |invariant: Invariant| findings.iter().find(|finding| finding.check.invariant == invariant.text()).unwrap();
    assert_eq!(
        of(Invariant::Paid).check.figures,
        "2 orders over 200.00 EUR, of which 0.00 EUR went back; captured 200.00 EUR, refunded 0.00 EUR"
    );
    assert_eq!(of(Invariant::Sold).check.figures, "2 orders, 6 pieces sold");
    assert_eq!(of(Invariant::Moving).check.figures, "1 pending orders, 1 orders too young to be judged");
    assert!(of(Invariant::Sold).check.holds && !of(Invariant::Invoiced).check.holds);
    assert_eq!(of(Invariant::Invoiced).check.violations.len(), 1);
    assert_eq!(findings.len(), Invariant::ALL.len());
}
