//! `argosy verify`: it finds nothing wrong with a system that works, and everything that was broken by hand.

use std::{collections::BTreeMap, process::Output, time::Duration};

use nats::{topology::OPERATOR, types::OrderId};
use serde_json::{Value, json};
use stack::{postgres::Data, tools, wait::wait_for};

use crate::{
    journey::new_article,
    shop::{Answer, BOUND, Person, Shop},
};

/// Runs the operator's command.
async fn argosy(shop: &Shop, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(tools::built("argosy").unwrap());
    command.args(arguments).env("NATS_URL", shop.system.nats.url()).env("LOG", "warn");
    command.env("NATS_SEED_FILE", shop.system.seed_file(OPERATOR)).kill_on_drop(true);
    let running = tokio::time::timeout(Duration::from_secs(180), command.output());
    running.await.expect("an end of `argosy verify`").unwrap()
}

/// The exit status and the report.
async fn verify(shop: &Shop) -> (Option<i32>, Value) {
    let output = argosy(shop, &["verify", "--json", "--settle", "0"]).await;
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "no report ({error}): {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    (output.status.code(), report)
}

/// The violations by `scope: invariant`.
fn violated(report: &Value) -> BTreeMap<String, String> {
    let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["holds"] == false);
    let named = checks.map(|check| {
        let name = format!("{}: {}", check["scope"].as_str().unwrap(), check["invariant"].as_str().unwrap());
        (name, format!("{} ({})", check["violations"], check["figures"]))
    });
    named.collect()
}

fn figures<'a>(report: &'a Value, invariant: &str) -> &'a str {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["invariant"].as_str().unwrap().contains(invariant));
    check.unwrap_or_else(|| panic!("no invariant {invariant}"))["figures"].as_str().unwrap()
}

/// Places an order and waits until it is settled in all that it leads to.
async fn settled(shop: &Shop, buyer: &Person, sku: &str, method: &str) -> OrderId {
    let placed = buyer.order(&uuid::Uuid::new_v4().to_string(), sku, 2, method).await;
    assert_eq!(placed.status, 201, "{placed}");
    let id = placed.text("/id");
    let end = if method == "sandbox_ok" { "confirmed" } else { "canceled" };
    let order = buyer.until(&format!("/v1/orders/{id}"), "/status", end).await;
    shop.mail(&buyer.email, order["number"].as_str().unwrap()).await;
    if end == "confirmed" {
        let invoice = buyer.until(&format!("/v1/orders/{id}/invoice"), "/documents/0/state", "rendered").await;
        shop.mail(&buyer.email, invoice["number"].as_str().unwrap()).await;
    }
    id.parse().unwrap()
}

/// Gives back five euro.
async fn refund(staff: &Person, buyer: &Person, order: OrderId) {
    let payments = buyer.get(&format!("/v1/orders/{order}/payments")).await;
    let payment = payments.text("/data/0/id");
    let body = json!({ "amount": { "amount": 500, "currency": "EUR" }, "reason": "A scratch" });
    let request = staff.request(reqwest::Method::POST, &format!("/v1/payments/{payment}/refunds"));
    let refunded = Answer::of(request.header("Idempotency-Key", "a-scratch").json(&body)).await;
    assert_eq!(refunded.status, 201, "{refunded}");
    buyer.until(&format!("/v1/orders/{order}"), "/payment_status", "partially_refunded").await;
}

/// What nobody may do: changes a service's tables past every guard.
async fn tamper(shop: &Shop, service: &str, sql: &str) {
    let sql = format!("set session_replication_role = replica;\n{sql}");
    shop.system.postgres.psql(&format!("argosy_{service}"), &sql).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_works_holds_and_what_is_broken_by_hand_is_found() {
    let shop = Shop::open(Data::Scratch).await;
    let (staff, ines) = (shop.demo("STAFF").await, shop.shopper().await);
    let (sku, other) = (new_article(&staff, 50).await, new_article(&staff, 50).await);

    let mut paid = Vec::new();
    for _ in 0..6 {
        paid.push(settled(&shop, &ines, &sku, "sandbox_ok").await);
    }
    let declined = settled(&shop, &ines, &sku, "sandbox_declined").await;
    refund(&staff, &ines, paid[0]).await;
    let canceled = ines.order("changes-her-mind", &sku, 1, "sandbox_slow").await.text("/id");
    ines.post(&format!("/v1/orders/{canceled}/cancel"), &json!({})).await;
    wait_for("the money of the canceled order to be back, or never taken", BOUND, || async {
        let order = ines.get(&format!("/v1/orders/{canceled}")).await;
        let payments = ines.get(&format!("/v1/orders/{canceled}/payments")).await;
        let (known, payment) = (order.text("/payment_status"), payments.text("/data/0/status"));
        let over = known == "refunded" || (known == "canceled" && payment == "canceled");
        if over { Ok(Some(())) } else { Err(format!("{order} {payments}")) }
    })
    .await
    .unwrap();

    let (status, report) = verify(&shop).await;
    assert_eq!(violated(&report), BTreeMap::new(), "nothing is wrong");
    assert_eq!((status, &report["holds"]), (Some(0), &json!(true)));
    assert!(figures(&report, "captured minus refunded").starts_with("6 orders over "), "{report:#}");
    assert!(figures(&report, "captured minus refunded").contains("refunded 5.00 EUR"), "{report:#}");
    assert!(figures(&report, "canceled orders have their money back").starts_with("2 orders"), "{report:#}");
    assert_eq!(figures(&report, "every confirmed order has its goods"), "6 orders, 12 pieces sold");
    assert!(figures(&report, "notify-order-confirmed has taken").starts_with("6 events, 0 missing"), "{report:#}");
    let text = argosy(&shop, &["verify", "--settle", "0"]).await;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.lines().next().is_some_and(|line| line.starts_with("ok ")), "{text}");
    assert!(text.contains("invariants hold; facts younger than 0 s are left out."), "{text}");

    let of = |order: OrderId| order.uuid();
    // One order each, so that each finding names its own.
    tamper(&shop, "catalog", &format!("update stock set on_hand = on_hand + 1 where sku = '{other}'")).await;
    tamper(&shop, "catalog", &format!("update reservation set state = 'released' where order_id = '{}'", of(paid[0])))
        .await;
    tamper(
        &shop,
        "payment",
        &format!(
            "update transaction set amount = transaction.amount - 1 from payment
             where kind = 'capture' and payment_id = payment.id and order_id = '{}'",
            of(paid[1])
        ),
    )
    .await;
    tamper(
        &shop,
        "invoice",
        &format!(
            "create temporary table gone as select id from invoice where order_id = '{}';
             delete from document_link where invoice_id in (select id from gone);
             delete from document where invoice_id in (select id from gone);
             delete from invoice where id in (select id from gone)",
            of(paid[2])
        ),
    )
    .await;
    tamper(
        &shop,
        "notify",
        &format!(
            "insert into notification (id, channel, template, subject, event_id, order_id, state, next_try_at, sent_at,
                                       traceparent, request_id)
             select gen_random_uuid(), channel, template, subject, gen_random_uuid(), order_id, state, null, sent_at, '', ''
             from notification where template = 'order_confirmed' and order_id = '{}'",
            of(paid[3])
        ),
    )
    .await;
    tamper(
        &shop,
        "notify",
        "delete from inbox where event_id = (select event_id from inbox where consumer = 'notify-welcome' limit 1)",
    )
    .await;
    tamper(
        &shop,
        "notify",
        "with taken as (delete from inbox where consumer = 'notify-order-canceled' returning event_id)
         insert into dead_letter (id, consumer, digest, event_id, subject, headers, payload, reason, attempts)
         select gen_random_uuid(), 'notify-order-canceled', sha256(event_id::text::bytea), event_id, 'evt', '{}', '', 'poison', 10
         from taken limit 1",
    )
    .await;
    tamper(
        &shop,
        "order",
        &format!(
            "update order_saga set step = 'awaiting_refund', deadline = now() - interval '2 minutes',
                                   due_at = now() + interval '1 day'
             where order_id = '{}'",
            of(paid[4])
        ),
    )
    .await;
    tamper(
        &shop,
        "order",
        &format!("update orders set refunded = 1, payment_status = 'partially_refunded' where id = '{}'", of(paid[5])),
    )
    .await;
    tamper(
        &shop,
        "payment",
        &format!(
            "update payment set order_id = '01890000-0000-7000-8000-000000000001' where order_id = '{}'",
            of(declined)
        ),
    )
    .await;
    shop.system.kill("shipping").unwrap();

    let (status, report) = verify(&shop).await;
    assert_eq!((status, &report["holds"]), (Some(1), &json!(false)));
    let found = violated(&report);
    for (finding, names) in [
        ("catalog: ", other.clone()),
        ("catalog: ", paid[0].to_string()),
        ("orders: every confirmed order has its goods", paid[0].to_string()),
        ("payment: every succeeded payment has one capture", paid[1].to_string()),
        ("orders: captured minus refunded", paid[1].to_string()),
        ("invoice: no series has a gap", "number 3 of series A is missing".to_owned()),
        ("orders: every confirmed order has one invoice", paid[2].to_string()),
        ("orders: every confirmed order has one confirmation", paid[3].to_string()),
        ("events: notify-welcome has taken every user.registered.v1", "1 missing".to_owned()),
        ("events: notify-order-canceled has taken every order.canceled.v1", "1 missing".to_owned()),
        ("events: notify-order-canceled has given up no order.canceled.v1", "is a dead letter".to_owned()),
        ("order: no order waits past its deadline", paid[4].to_string()),
        ("orders: captured minus refunded", paid[5].to_string()),
        ("orders: nothing is sold, paid", "does not exist".to_owned()),
        ("shipping: it answers", "is it running?".to_owned()),
    ] {
        let named = found.iter().any(|(name, what)| name.starts_with(finding) && what.contains(&names));
        assert!(named, "`{finding}` should name {names} in {found:#?}");
    }
    let text = argosy(&shop, &["verify", "--settle", "0"]).await;
    assert_eq!(text.status.code(), Some(1));
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("VIOLATED  shipping"), "{text}");
    assert!(text.contains(&format!("- {}", paid[2])), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_verified_is_neither_right_nor_wrong() {
    let shop = Shop::shared().await;
    let output = argosy(shop, &["verify", "--everything"]).await;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("could not verify: there is no option `--everything`"), "{said}");
}
