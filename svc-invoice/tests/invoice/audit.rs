//! What svc-invoice tells the operator.

use diesel::sql_query;
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        invoice::{AuditInvoices, AuditedInvoice},
        operations::AuditCheck,
        order::{GetOrder, OrderDetails},
        user::Unknown,
    },
    service::Running,
    types::OrderId,
};
use serde_json::json;
use stack::bed::Bed;

use crate::given;

/// A service in which two orders and an upload are invoiced, none of them rendered for want of WeasyPrint.
async fn books(bed: &Bed) -> (Running, [OrderId; 2]) {
    let running = given::service_without_weasyprint(bed).await;
    let alice = bed.customer();
    let mut orders: Vec<OrderDetails> = (0..2).map(|_| given::order(alice.user_id())).collect();
    orders.sort_by_key(|order| order.order_id);
    let known = orders.clone();
    bed.answer::<GetOrder>(move |question| {
        known.iter().find(|order| order.order_id == question.order_id).cloned().ok_or(Unknown::Unknown)
    })
    .await;
    given::knows_users(bed, "en").await;
    for order in &orders {
        bed.publish_twice(&given::confirmed(order)).await;
    }
    let id = given::uploaded(&alice, &given::invoice()).await;
    given::issued(bed, &alice, &id).await;
    let ids = [orders[0].order_id, orders[1].order_id];
    bed.wait_for("both orders have their invoice", || async {
        let page = bed.call(&AuditInvoices { after: None, limit: 10 }).await.unwrap();
        (page.orders.len() == 2).then_some(())
    })
    .await;
    (running, ids)
}

async fn sql(bed: &Bed, statement: &str) {
    let changed = sql_query(statement).execute(&mut bed.sql("invoice").await).await.unwrap();
    let defines = statement.starts_with("alter") || statement.starts_with("create");
    assert!(changed > 0 || defines, "nothing is changed by: {statement}");
}

/// The database keeps these books by itself; whoever breaks it does so past its guards.
async fn unguarded(bed: &Bed) {
    sql(bed, "alter table invoice disable trigger invoice_stays_as_issued").await;
    sql(bed, "alter table number_series disable trigger number_series_only_grows").await;
}

async fn broken(bed: &Bed) -> Vec<AuditCheck> {
    bed.broken_invariants("invoice").await
}

/// The one invariant that does not hold.
async fn the_broken_one(bed: &Bed, invariant: &str) -> AuditCheck {
    let mut broken = broken(bed).await;
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(broken[0].invariant.contains(invariant), "{broken:?}");
    broken.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_order_has_its_invoice_and_its_total() {
    let bed = Bed::start().await;
    let (_running, [first, second]) = books(&bed).await;
    let invoiced = |order_id, rendered| {
        let total = given::order(bed.customer().user_id()).total;
        AuditedInvoice { order_id, invoices: 1, total, rendered }
    };
    assert_eq!(broken(&bed).await, []);
    let page = bed.call(&AuditInvoices { after: None, limit: 1000 }).await.unwrap();
    assert_eq!(page.orders, [invoiced(first, false), invoiced(second, false)], "uploads are no order's");
    sql(
        &bed,
        "update document set state = 'rendered', object = 'x', size = 1, sha256 = 'x', content_type = 'x',
                             next_attempt_at = null, error = null",
    )
    .await;
    let page = bed.call(&AuditInvoices { after: Some(first), limit: 1 }).await.unwrap();
    assert_eq!(page.orders, [invoiced(second, true)]);
    assert_eq!(bed.call(&AuditInvoices { after: Some(second), limit: 1 }).await.unwrap().orders, []);
    assert_eq!(broken(&bed).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_invoice_of_an_order_is_found() {
    let bed = Bed::start().await;
    let (_running, [first, second]) = books(&bed).await;
    unguarded(&bed).await;
    sql(&bed, "alter table invoice drop constraint invoice_order_id_key").await;
    let (one, other) = (first.uuid(), second.uuid());
    sql(&bed, &format!("update invoice set order_id = '{one}' where order_id = '{other}'")).await;
    let twice = the_broken_one(&bed, "an order has one invoice").await;
    assert_eq!(twice.violations, [format!("{first} has 2 invoices")]);
    let page = bed.call(&AuditInvoices { after: None, limit: 1000 }).await.unwrap();
    assert_eq!((page.orders.len(), page.orders[0].invoices), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_in_the_numbers_is_found() {
    let bed = Bed::start().await;
    let (_running, _) = books(&bed).await;
    unguarded(&bed).await;
    sql(&bed, "delete from document where invoice_id in (select id from invoice where number like 'A-%-000001')").await;
    sql(&bed, "delete from invoice where number like 'A-%-000001'").await;
    let gap = the_broken_one(&bed, "no series has a gap").await;
    assert_eq!(gap.violations.len(), 1, "{gap:?}");
    assert!(gap.violations[0].starts_with("shop: number 1 of series A is missing"), "{gap:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_last_number_and_a_counter_that_stands_elsewhere_are_found() {
    let bed = Bed::start().await;
    let (_running, _) = books(&bed).await;
    unguarded(&bed).await;
    sql(&bed, "delete from document where invoice_id in (select id from invoice where number like 'A-%-000002')").await;
    sql(&bed, "delete from invoice where number like 'A-%-000002'").await;
    let gap = the_broken_one(&bed, "no series has a gap").await;
    assert!(gap.violations.iter().any(|one| one.contains("number 2 of series A is missing")), "{gap:?}");
    assert!(gap.violations.iter().any(|one| one.contains("stands at 2") && one.contains("number is 1")), "{gap:?}");
    sql(&bed, "update number_series set next = next - 1 where seller_key = 'shop'").await;
    assert_eq!(broken(&bed).await, []);
    sql(&bed, "delete from number_series where seller_key = 'shop'").await;
    the_broken_one(&bed, "no series has a gap").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_callers_brought_are_no_gaps() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let mut own = given::invoice();
    own["series"] = json!("WEB");
    let year = own["issue_date"].as_str().unwrap()[..4].to_owned();
    own["number"] = json!(format!("WEB-{year}-000001"));
    let id = given::uploaded(&alice, &own).await;
    given::issued(&bed, &alice, &id).await;
    own["number"] = json!(null);
    let id = given::uploaded(&alice, &own).await;
    let next = given::issued(&bed, &alice, &id).await;
    assert_eq!(next["number"], format!("WEB-{year}-000002"), "the first is passed over");
    assert_eq!(broken(&bed).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_that_do_not_add_up_are_found() {
    let bed = Bed::start().await;
    let (_running, _) = books(&bed).await;
    unguarded(&bed).await;
    let more = "(totals #>> '{tax_total,amount}')::bigint + 1";
    sql(
        &bed,
        &format!(
            "update invoice set totals = jsonb_set(totals, '{{tax_total,amount}}', to_jsonb({more}))
             where number like 'A-%-000002'"
        ),
    )
    .await;
    let wrong = the_broken_one(&bed, "totals").await;
    assert!(wrong.violations[0].contains("-000002") && wrong.figures.contains("1 wrong"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_will_not_come_are_found() {
    let bed = Bed::start().await;
    let (running, _) = books(&bed).await;
    running.stop().await;
    // An instance that renders nothing: nobody takes what this test makes of the queue.
    sql(&bed, "update document set next_attempt_at = now() + interval '1 hour', attempts = 1").await;
    let _running = given::service_without_weasyprint(&bed).await;
    assert_eq!(broken(&bed).await, [], "they are worked on");

    let of = |sequence: u32| format!("invoice_id = (select id from invoice where number like 'A-%-00000{sequence}')");
    let (first, second) = (of(1), of(2));
    sql(&bed, &format!("update document set state = 'failed', error = 'no', next_attempt_at = null where {first}"))
        .await;
    let given_up = the_broken_one(&bed, "has its documents").await;
    assert!(given_up.violations[0].contains("was given up: no"), "{given_up:?}");

    sql(&bed, &format!("delete from document where {first}")).await;
    let none = the_broken_one(&bed, "has its documents").await;
    assert!(none.violations[0].contains("-000001 is issued and has no document"), "{none:?}");

    sql(&bed, &format!("delete from document where {second}")).await;
    let none = the_broken_one(&bed, "has its documents").await;
    assert_eq!(none.violations.len(), 2, "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_does_not_move_is_found() {
    let bed = Bed::start().await;
    let (_running, _) = books(&bed).await;
    // Whoever claims a document finds that it cannot.
    sql(&bed, "create function unclaimed() returns trigger language plpgsql as 'begin return null; end'").await;
    sql(
        &bed,
        "create trigger unclaimed before update of attempts on document for each row execute function unclaimed()",
    )
    .await;
    sql(&bed, "update document set next_attempt_at = now() - interval '2 minutes'").await;
    let still = the_broken_one(&bed, "has its documents").await;
    assert!(still.violations[0].contains("3 documents are due") && still.violations.len() == 1, "{still:?}");

    unguarded(&bed).await;
    sql(&bed, "update document set next_attempt_at = now() + interval '1 hour'").await;
    let of = |sequence: u32| format!("(select id from invoice where number like 'A-%-00000{sequence}')");
    sql(
        &bed,
        &format!(
            "update document set state = 'rendered', object = 'x', size = 1, sha256 = 'x', content_type = 'x',
                                 next_attempt_at = null, error = null
             where invoice_id = {}",
            of(2)
        ),
    )
    .await;
    let late =
        format!("update document set next_attempt_at = now() - interval '2 minutes' where invoice_id = {}", of(1));
    sql(&bed, &late).await;
    let overtaken = the_broken_one(&bed, "has its documents").await;
    assert!(overtaken.violations[0].contains("-000001 waits since"), "{overtaken:?}");
}
