//! The main job: register, browse, order, be charged, get a mail, download the invoice; and invoices from data.

use serde_json::{Value, json};

use crate::shop::{Shop, pdf_text};

/// An article of the demo catalogue with plenty in stock, and its net price in cents.
async fn article(shop: &Shop, search: &str) -> (String, i64) {
    let found = shop.nobody().get(&format!("/v1/products?search={search}&limit=50")).await;
    assert_eq!(found.status, 200, "{found}");
    let products = found.at("/data").as_array().cloned().unwrap_or_default();
    let variants = products.iter().filter_map(|product| product.get("variants")?.as_array().cloned()).flatten();
    for variant in variants {
        let sku = variant["sku"].as_str().unwrap().to_owned();
        let stock = shop.nobody().get(&format!("/v1/stock/{sku}")).await;
        if stock.at("/available").as_i64().unwrap_or_default() > 20 {
            return (sku, variant.pointer("/prices/0/amount").and_then(Value::as_i64).unwrap());
        }
    }
    panic!("the demo catalogue has nothing like {search} in stock: {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_registers_browses_orders_is_charged_and_gets_the_invoice() {
    let shop = Shop::shared().await;
    let ines = shop.shopper().await;
    shop.mail(&ines.email, "").await;
    let (sku, price) = article(shop, "lamp").await;

    let placed = ines.order("first", &sku, 2, "sandbox_ok").await;
    assert_eq!(placed.status, 201, "{placed}");
    assert_eq!(placed.at("/status"), "pending");
    assert_eq!(placed.at("/subtotal/amount"), 2 * price);
    let id = placed.text("/id");
    assert_eq!(placed.header("location"), format!("/v1/orders/{id}"));

    let order = ines.until(&format!("/v1/orders/{id}"), "/status", "confirmed").await;
    assert_eq!(order["payment_status"], "captured");
    let total = order["total"]["amount"].as_i64().unwrap();
    let parts = ["/subtotal/amount", "/shipping/price/amount", "/tax_total/amount"];
    let sum: i64 = parts.iter().map(|part| order.pointer(part).and_then(Value::as_i64).unwrap()).sum();
    assert_eq!(total, sum, "{order}");

    let payments = ines.get(&format!("/v1/orders/{id}/payments")).await;
    assert_eq!(payments.at("/data/0/status"), "succeeded", "{payments}");
    assert_eq!(payments.at("/data/0/amount/amount"), total);

    let number = order["number"].as_str().unwrap();
    let mail = shop.mail(&ines.email, number).await;
    assert!(mail.text.contains(number), "{}", mail.text);

    let invoice = ines.until(&format!("/v1/orders/{id}/invoice"), "/documents/0/state", "rendered").await;
    let invoice_id = invoice["id"].as_str().unwrap();
    assert_eq!(invoice.pointer("/totals/tax_inclusive/amount"), Some(&json!(total)), "{invoice}");
    let pdf = ines.get(&format!("/v1/invoices/{invoice_id}/documents/pdf")).await;
    assert_eq!((pdf.status, pdf.header("content-type")), (200, "application/pdf"));
    let text = pdf_text(&pdf.bytes).unwrap();
    for expected in [invoice["number"].as_str().unwrap(), number, &sku, &format!("{}.{:02}", total / 100, total % 100)]
    {
        assert!(text.contains(expected), "expected {expected} in the invoice:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_invoice_mail_has_a_link_that_works_without_signing_in() {
    let shop = Shop::shared().await;
    let ines = shop.shopper().await;
    let (sku, _) = article(shop, "lamp").await;
    let placed = ines.order("first", &sku, 1, "sandbox_ok").await;
    let id = placed.text("/id");
    let invoice = ines.until(&format!("/v1/orders/{id}/invoice"), "/documents/0/state", "rendered").await;

    let mail = shop.mail(&ines.email, invoice["number"].as_str().unwrap()).await;
    let link =
        mail.text.split_whitespace().find(|word| word.contains("/documents/pdf?token=")).expect("a link").to_owned();
    let path = link.strip_prefix(&shop.system.gateway_url()).unwrap_or_else(|| panic!("{link} is not the gateway's"));

    let pdf = shop.nobody().get(path).await;
    assert_eq!((pdf.status, pdf.header("content-type")), (200, "application/pdf"), "{path}");
    assert!(pdf.bytes.starts_with(b"%PDF"));
    let wrong = format!("{}x", path.split("token=").next().unwrap_or_default().to_owned() + "token=nonsense");
    assert_eq!(shop.nobody().get(&wrong).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_payment_ends_with_the_order_canceled_the_stock_back_and_a_mail_that_says_so() {
    let shop = Shop::shared().await;
    let (staff, ines) = (shop.demo("STAFF").await, shop.shopper().await);
    let sku = new_article(&staff, 10).await;

    let placed = ines.order("first", &sku, 4, "sandbox_declined").await;
    assert_eq!(placed.status, 201, "{placed}");
    let id = placed.text("/id");

    let order = ines.until(&format!("/v1/orders/{id}"), "/status", "canceled").await;
    assert_eq!((&order["payment_status"], &order["cancel_reason"]), (&json!("failed"), &json!("payment_failed")));
    let stock = ines.until(&format!("/v1/stock/{sku}"), "/available", 10).await;
    assert_eq!((&stock["on_hand"], &stock["reserved"]), (&json!(10), &json!(0)), "{stock}");
    let mail = shop.mail(&ines.email, order["number"].as_str().unwrap()).await;
    assert!(mail.text.contains("declined") || mail.text.contains("not charged"), "{}", mail.text);
    assert_eq!(ines.get(&format!("/v1/orders/{id}/invoice")).await.status, 404, "no invoice for a canceled order");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_orders_once() {
    let shop = Shop::shared().await;
    let (staff, ines) = (shop.demo("STAFF").await, shop.shopper().await);
    let sku = new_article(&staff, 10).await;

    let first = ines.order("once", &sku, 1, "sandbox_ok").await;
    let again = ines.order("once", &sku, 1, "sandbox_ok").await;
    let other = ines.order("once", &sku, 2, "sandbox_ok").await;

    assert_eq!((first.status, again.status), (201, 201), "{again}");
    assert_eq!(first.at("/id"), again.at("/id"));
    assert_eq!(again.header("idempotency-replayed"), "true");
    other.problem("idempotency_key_reused");
    let orders = ines.get("/v1/orders").await;
    assert_eq!(orders.at("/data").as_array().map(Vec::len), Some(1), "{orders}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sold_that_is_not_there() {
    let shop = Shop::shared().await;
    let staff = shop.demo("STAFF").await;
    let sku = new_article(&staff, 5).await;
    let mut buyers = Vec::new();
    for _ in 0..3 {
        buyers.push(shop.shopper().await);
    }

    let buying = (0..12).map(|n| {
        let (buyer, sku) = (buyers[n % 3].clone(), sku.clone());
        tokio::spawn(async move { buyer.order(&format!("k{n}"), &sku, 1, "sandbox_ok").await.status })
    });
    let mut sold = 0;
    for status in buying.collect::<Vec<_>>() {
        match status.await.unwrap() {
            201 => sold += 1,
            status => assert_eq!(status, 409, "a buyer who comes too late is told so"),
        }
    }

    assert_eq!(sold, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn invoice_data_becomes_a_document_by_id() {
    let shop = Shop::shared().await;
    let ines = shop.shopper().await;
    let mut data: Value = serde_json::from_str(include_str!("../seed/invoice.json")).unwrap();
    data["formats"] = json!(["pdf"]);

    let uploaded = ines.post("/v1/invoices", &data).await;
    assert_eq!(uploaded.status, 202, "{uploaded}");
    let path = format!("/v1/invoices/{}", uploaded.text("/id"));
    assert_eq!(uploaded.header("location"), path);

    let invoice = ines.until(&path, "/documents/0/state", "rendered").await;
    // 2 × 49.90 + 1.5 × 60.00 − 5.00 + 4.90 shipping, and 19 % of it.
    assert_eq!(invoice.pointer("/totals/tax_inclusive/amount"), Some(&json!(22_574)), "{invoice}");
    let pdf = ines.get(&format!("{path}/documents/pdf")).await;
    let text = pdf_text(&pdf.bytes).unwrap();
    for expected in ["Kontor GmbH", "Atelier Sud SARL", "Desk lamp", "225,74", invoice["number"].as_str().unwrap()] {
        assert!(text.contains(expected), "expected {expected} in the invoice:\n{text}");
    }
    let mail = shop.mail(&ines.email, invoice["number"].as_str().unwrap()).await;
    assert!(mail.text.contains("/documents/pdf?token="), "{}", mail.text);

    let stranger = shop.shopper().await;
    stranger.get(&path).await.problem("not_found");
    stranger.get(&format!("{path}/documents/pdf")).await.problem("not_found");
}

/// Puts a new article with this stock into the catalogue.
pub(crate) async fn new_article(staff: &crate::shop::Person, on_hand: u32) -> String {
    let sku = format!("TST-{}", uuid::Uuid::new_v4().simple()).to_uppercase();
    let product = json!({
        "name": "A thing to test with", "description": "It is there to be ordered.",
        "variants": [{ "sku": sku, "price": { "amount": 1999, "currency": "EUR" }, "tax_category": "S", "weight_g": 300 }],
    });
    let created = staff.post("/v1/products", &product).await;
    assert_eq!(created.status, 201, "{created}");
    let level = staff.put(&format!("/v1/stock/{sku}"), &json!({ "on_hand": on_hand, "reorder_point": 0 })).await;
    assert!(level.status < 300, "{level}");
    sku
}
