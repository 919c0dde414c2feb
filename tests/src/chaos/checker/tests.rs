//! Each property holds for what went well, and fails for the one thing that it is there to find.

use super::*;
use crate::chaos::{
    history::{Answer, Lines, Outcome},
    state::{Invoice, Notification, Order, Stock, Transaction},
};

fn answer(status: u16) -> Answer {
    let problem = (status >= 400).then(|| "out_of_stock".to_owned());
    Answer { status, body: "digest".to_owned(), problem, ..Answer::default() }
}

fn record(operation: Operation, key: &str, start: u64, answer: Answer) -> Record {
    Record {
        since: start,
        start,
        end: start + 20,
        client: "buyer-1".to_owned(),
        operation,
        attempt: 1,
        key: Some(key.to_owned()),
        body: None,
        about: None,
        lines: None,
        amount: None,
        outcome: Outcome::Answer(answer),
    }
}

fn placed(key: &str, id: &str, start: u64) -> Record {
    let lines = Some(Lines::from([("LMP".to_owned(), 2)]));
    Record { lines, ..record(Operation::PlaceOrder, key, start, Answer { id: Some(id.to_owned()), ..answer(201) }) }
}

fn lost(record: Record) -> Record {
    Record { outcome: Outcome::Lost("reset".to_owned()), ..record }
}

fn transaction(kind: &str, amount: i64) -> Transaction {
    Transaction { kind: kind.to_owned(), amount }
}

fn order(key: &str, number: &str, status: &str, payment_status: &str) -> Order {
    Order {
        key: key.to_owned(),
        number: number.to_owned(),
        status: status.to_owned(),
        payment_status: payment_status.to_owned(),
        lines: Lines::from([("LMP".to_owned(), 2)]),
        total: 5_000,
        transactions: if payment_status == "failed" { Vec::new() } else { vec![transaction("capture", 5_000)] },
    }
}

fn invoice(number: &str, order: &str) -> Invoice {
    Invoice {
        id: format!("inv_{order}"),
        number: number.to_owned(),
        order: order.to_owned(),
        total: 5_000,
        rendered: true,
    }
}

fn notification(template: &str, subject: &str) -> Notification {
    let [template, subject, state] = [template, subject, "sent"].map(str::to_owned);
    Notification { template, subject, state, due: true }
}

/// What a test bends.
struct Run {
    history: Vec<Record>,
    state: FinalState,
}

impl Run {
    /// Two confirmed orders, one of them placed at the second try, read again and refunded in part; one declined; one buyer
    /// who came too late; a receipt.
    fn that_went_well() -> Self {
        let history = vec![
            placed("k1", "ord_1", 100),
            placed("k1", "ord_1", 200),
            lost(placed("k2", "", 300)),
            placed("k2", "ord_2", 400),
            placed("k3", "ord_3", 500),
            record(Operation::PlaceOrder, "k4", 600, answer(409)),
            record(Operation::ReuseKey, "k1", 700, answer(422)),
            Record {
                about: Some("LMP".to_owned()),
                amount: Some(5),
                ..record(Operation::Restock, "r1", 800, Answer { id: None, ..answer(201) })
            },
            Record {
                about: Some("ord_2".to_owned()),
                amount: Some(1_000),
                ..record(Operation::Refund, "r2", 900, answer(201))
            },
            Record {
                about: Some("LMP".to_owned()),
                ..record(Operation::ReadStock, "", 1_000, Answer { available: Some(1), ..answer(200) })
            },
            record(Operation::ReadOrder, "", 1_100, answer(503)),
        ];
        let mut second = order("k2", "A-2", "confirmed", "partially_refunded");
        second.transactions.push(transaction("refund", 1_000));
        let orders = BTreeMap::from([
            ("ord_1".to_owned(), order("k1", "A-1", "confirmed", "captured")),
            ("ord_2".to_owned(), second),
            ("ord_3".to_owned(), order("k3", "A-3", "canceled", "failed")),
        ]);
        let notifications = BTreeMap::from([
            ("ntf_0".to_owned(), notification("welcome", "Welcome to Argosy, Ines")),
            ("ntf_1".to_owned(), notification("order_confirmed", "Order A-1 is confirmed")),
            ("ntf_2".to_owned(), notification("order_confirmed", "Order A-2 is confirmed")),
            ("ntf_3".to_owned(), notification("order_canceled", "Order A-3 is canceled")),
            ("ntf_4".to_owned(), notification("invoice", "Your invoice A-2026-1")),
            ("ntf_5".to_owned(), notification("invoice", "Your invoice A-2026-2")),
        ]);
        let mails = notifications.keys().map(|id| (id.clone(), 1)).collect();
        let stock = Stock { initial: 10, on_hand: 11, reserved: 0, available: 11 };
        let state = FinalState {
            orders,
            invoices: vec![invoice("A-2026-1", "ord_1"), invoice("A-2026-2", "ord_2")],
            notifications,
            mails,
            stock: BTreeMap::from([("LMP".to_owned(), stock)]),
        };
        Self { history, state }
    }

    fn order(&mut self, id: &str) -> &mut Order {
        self.state.orders.get_mut(id).unwrap()
    }

    fn stock(&mut self) -> &mut Stock {
        self.state.stock.get_mut("LMP").unwrap()
    }

    fn verdicts(&self) -> Vec<Verdict> {
        check(&self.history, &self.state)
    }
}

/// After this bend, the property must fail, and its violation must name `what`.
#[track_caller]
fn finds(property: &str, what: &str, bend: impl FnOnce(&mut Run)) {
    let mut run = Run::that_went_well();
    bend(&mut run);
    let verdicts = run.verdicts();
    let verdict = verdicts.iter().find(|verdict| verdict.property.starts_with(property)).unwrap();
    assert!(!verdict.holds(), "{property}: nothing was found");
    assert!(verdict.violations.iter().any(|violation| violation.contains(what)), "{:?}", verdict.violations);
}

#[test]
fn what_went_well_holds_and_every_property_was_looked_at() {
    for verdict in Run::that_went_well().verdicts() {
        assert!(verdict.holds(), "{}: {:?}", verdict.property, verdict.violations);
        assert!(verdict.examined > 0, "{}", verdict.property);
    }
}

#[test]
fn an_acknowledged_order_that_is_gone() {
    finds("every acknowledged order is there", "ord_1", |run| drop(run.state.orders.remove("ord_1")));
    finds("every acknowledged order is there", "k9", |run| run.order("ord_1").key = "k9".to_owned());
}

#[test]
fn an_order_that_hangs() {
    finds("every order is confirmed", "ord_1", |run| run.order("ord_1").status = "pending".to_owned());
}

#[test]
fn an_order_that_contains_something_else() {
    finds("every order contains", "ord_2", |run| run.order("ord_2").lines = Lines::from([("LMP".to_owned(), 1)]));
    finds("every order contains", "ord_2", |run| run.order("ord_2").lines.clear());
}

#[test]
fn two_orders_for_one_key() {
    finds("no key has two orders", "k1", |run| {
        let twin = run.order("ord_1").clone();
        run.state.orders.insert("ord_9".to_owned(), twin);
    });
}

#[test]
fn an_order_that_was_refused() {
    finds("nobody has an order after being told", "ord_9", |run| {
        run.state.orders.insert("ord_9".to_owned(), order("k4", "A-9", "canceled", "failed"));
    });
    finds("nobody has an order after being told", "ord_9", |run| {
        run.history.push(lost(placed("k4", "", 1)));
        run.state.orders.insert("ord_9".to_owned(), order("k4", "A-9", "canceled", "failed"));
    });
}

#[test]
fn an_order_of_a_later_try_that_was_lost_is_no_surprise() {
    let mut run = Run::that_went_well();
    run.history.push(lost(placed("k4", "", 950)));
    run.state.orders.insert("ord_9".to_owned(), order("k4", "A-9", "canceled", "failed"));
    let verdicts = run.verdicts();
    let refused = verdicts.iter().find(|verdict| verdict.property.starts_with("nobody has an order")).unwrap();
    assert!(refused.holds(), "nobody knew whether it was placed");
}

#[test]
fn an_order_that_nobody_asked_for() {
    finds("no order is there that nobody", "ord_9", |run| {
        run.state.orders.insert("ord_9".to_owned(), order("", "A-9", "canceled", "failed"));
    });
}

#[test]
fn a_repetition_that_is_answered_otherwise() {
    finds("repeated requests", "k1", |run| run.history.push(placed("k1", "ord_7", 950)));
    finds("repeated requests", "k1", |run| {
        let again = Answer { id: Some("ord_1".to_owned()), body: "another".to_owned(), ..answer(201) };
        run.history.push(record(Operation::PlaceOrder, "k1", 950, again));
    });
}

#[test]
fn a_reused_key_that_is_accepted() {
    finds("a key with another body", "k2", |run| run.history.push(record(Operation::ReuseKey, "k2", 950, answer(201))));
    finds("a key with another body", "k2", |run| run.history.push(record(Operation::ReuseKey, "k2", 950, answer(409))));
}

#[test]
fn a_refusal_without_a_reason() {
    finds("requests are refused only", "404", |run| {
        run.history.push(record(Operation::ReadOrder, "", 950, answer(404)));
    });
    finds("requests are refused only", "422", |run| {
        run.history.push(record(Operation::PlaceOrder, "k5", 950, answer(422)));
    });
}

#[test]
fn an_error_that_is_no_problem_document() {
    finds("every error answer", "502", |run| {
        let page = Answer { problem: None, ..answer(502) };
        run.history.push(record(Operation::Browse, "", 950, page));
    });
    finds("every error answer", "403", |run| {
        run.history.push(record(Operation::Browse, "", 950, answer(403)));
    });
}

#[test]
fn stock_that_does_not_add_up() {
    finds("the stock of every SKU", "LMP", |run| run.stock().on_hand += 1);
    finds("the stock of every SKU", "LMP", |run| {
        // One more was sold than was ever there, and the level says nothing of it.
        run.order("ord_1").lines = Lines::from([("LMP".to_owned(), 14)]);
        *run.stock() = Stock { initial: 10, on_hand: -1, reserved: 0, available: -1 };
    });
    finds("the stock of every SKU", "LMP", |run| run.stock().available -= 1);
}

#[test]
fn a_receipt_that_nobody_knows_of_may_have_come_in() {
    for came_in in [0, 7] {
        let mut run = Run::that_went_well();
        let receipt = record(Operation::Restock, "r9", 950, answer(201));
        let receipt = Record { about: Some("LMP".to_owned()), amount: Some(7), ..receipt };
        run.history.push(lost(receipt));
        run.stock().on_hand += came_in;
        run.stock().available += came_in;
        assert!(run.verdicts().iter().all(Verdict::holds), "{came_in}");
    }
}

#[test]
fn a_receipt_that_came_in_twice() {
    finds("the stock of every SKU", "LMP", |run| {
        // Acknowledged twice under one key, it is one receipt.
        let again = run.history.iter().find(|record| record.operation == Operation::Restock).cloned().unwrap();
        run.history.push(again);
        run.stock().on_hand += 5;
        run.stock().available += 5;
    });
}

#[test]
fn a_level_that_was_negative() {
    finds("no stock level is ever negative", "-1", |run| {
        let level = Answer { available: Some(-1), ..answer(200) };
        run.history.push(record(Operation::ReadStock, "", 950, level));
    });
    finds("no stock level is ever negative", "LMP", |run| run.stock().reserved = -1);
}

#[test]
fn a_reservation_that_nobody_needs() {
    finds("no stock stays reserved", "LMP", |run| run.stock().reserved = 2);
}

#[test]
fn a_customer_who_is_charged_twice() {
    finds("no order is charged twice", "ord_1", |run| {
        run.order("ord_1").transactions.push(transaction("capture", 5_000))
    });
    finds("no order is charged twice", "ord_1", |run| {
        run.order("ord_1").transactions = vec![transaction("capture", 5_001)]
    });
}

#[test]
fn money_that_is_not_what_is_owed() {
    let property = "captured less refunded";
    finds(property, "ord_1", |run| run.order("ord_1").transactions.clear());
    finds(property, "ord_3", |run| run.order("ord_3").transactions.push(transaction("capture", 5_000)));
    finds(property, "ord_1", |run| run.order("ord_1").transactions.push(transaction("refund", 5_000)));
    finds(property, "ord_2", |run| run.order("ord_2").payment_status = "captured".to_owned());
}

#[test]
fn a_refund_that_is_missing_or_made_twice() {
    let property = "every acknowledged refund";
    finds(property, "ord_2", |run| run.order("ord_2").transactions.retain(|transaction| transaction.kind != "refund"));
    finds(property, "ord_2", |run| run.order("ord_2").transactions.push(transaction("refund", 1_000)));
}

#[test]
fn a_refund_that_nobody_had_to_ask_for() {
    let mut run = Run::that_went_well();
    let asked = record(Operation::Refund, "r9", 950, answer(201));
    run.history.push(lost(Record { about: Some("ord_3".to_owned()), amount: Some(1_000), ..asked }));
    let late = run.order("ord_3");
    late.payment_status = "refunded".to_owned();
    late.transactions = vec![transaction("capture", 5_000), transaction("refund", 5_000)];
    assert!(run.verdicts().iter().all(Verdict::holds), "its money came after it was canceled, and all of it went back");
}

#[test]
fn an_invoice_too_many_or_too_few() {
    let property = "every confirmed order has exactly one invoice";
    finds(property, "ord_1", |run| run.state.invoices.retain(|invoice| invoice.order != "ord_1"));
    finds(property, "ord_1", |run| run.state.invoices.push(invoice("A-2026-3", "ord_1")));
    finds(property, "ord_3", |run| run.state.invoices.push(invoice("A-2026-3", "ord_3")));
    finds(property, "ord_8", |run| run.state.invoices.push(invoice("A-2026-3", "ord_8")));
    finds(property, "ord_1", |run| run.state.invoices[0].total = 4_999);
}

#[test]
fn a_gap_between_invoices() {
    let property = "invoice numbers have no gap";
    finds(property, "A-2026-1", |run| run.state.invoices[1].number = "A-2026-3".to_owned());
    finds(property, "A-2026-1", |run| run.state.invoices[1].number = "A-2026-1".to_owned());
    finds(property, "draft", |run| run.state.invoices[1].number = "draft".to_owned());
}

#[test]
fn a_mail_that_is_not_written_or_written_twice() {
    let property = "every settled order has one mail";
    finds(property, "A-1", |run| drop(run.state.notifications.remove("ntf_1")));
    finds(property, "A-1", |run| {
        run.state.notifications.insert("ntf_9".to_owned(), notification("order_confirmed", "Order A-1 is confirmed"));
    });
    finds(property, "A-1", |run| {
        run.state.notifications.insert("ntf_9".to_owned(), notification("order_canceled", "Order A-1 is canceled"));
    });
    finds(property, "A-2026-2", |run| drop(run.state.notifications.remove("ntf_5")));
    finds(property, "A-2026-2", |run| run.state.invoices[1].rendered = false);
}

#[test]
fn a_mail_that_is_not_delivered_or_comes_from_nowhere() {
    let property = "every mail is delivered";
    finds(property, "ntf_1", |run| run.state.mails.retain(|id, _| id != "ntf_1"));
    finds(property, "ntf_1", |run| run.state.notifications.get_mut("ntf_1").unwrap().state = "failed".to_owned());
    finds(property, "ntf_9", |run| run.state.mails.extend([("ntf_9".to_owned(), 1)]));
}

#[test]
fn a_mail_that_was_delivered_again_under_its_message_id_is_allowed() {
    let mut run = Run::that_went_well();
    run.state.mails.insert("ntf_1".to_owned(), 2);
    assert!(run.verdicts().iter().all(Verdict::holds));
}
