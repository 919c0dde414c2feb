//! Orders for a company: who places them, on what terms, and who sees them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use nats::{
    contracts::{
        order::GetOrder,
        user::{
            Unknown,
            company::{CompanyMembership, GetCompanyMembership},
        },
    },
    types::{CompanyId, CompanyRole, UserId},
};
use serde_json::{Value, json};
use stack::bed::{Answer, Client};

use crate::shop::{Shop, one_lamp, with};

/// A shop in which svc-user knows one company, and how often it was asked.
struct Scene {
    shop: Shop,
    company: CompanyId,
    asked: Arc<AtomicUsize>,
}

impl Scene {
    /// The company with these members, and with `changes` to what its orders are like.
    async fn of(shop: Shop, members: &[(UserId, CompanyRole)], changes: Value) -> Self {
        let (company, asked) = (CompanyId::new(), Arc::<AtomicUsize>::default());
        let mut known = json!({
            "company_id": company, "role": "viewer", "active": true, "currency": "EUR",
            "purchase_order_required": false, "spending_limit": null,
            "buyer": {
                "name": "Kontor GmbH", "vat_id": "DE123456789", "registration_number": "HRB 1",
                "email": "invoices@kontor.example", "locale": "de-DE",
                "address": {"name": "Kontor", "line1": "Alter Wall 1", "city": "Hamburg", "country": "DE"},
            },
        });
        known.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let known: CompanyMembership = serde_json::from_value(known).unwrap();
        let (members, counter) = (members.to_vec(), Arc::clone(&asked));
        shop.bed
            .answer::<GetCompanyMembership>(move |question| {
                counter.fetch_add(1, Ordering::Relaxed);
                let theirs = |(user, _): &&(UserId, CompanyRole)| *user == question.user_id;
                let member = members.iter().find(theirs).filter(|_| question.company_id == company);
                let (_, role) = member.ok_or(Unknown::Unknown)?;
                Ok(CompanyMembership { role: *role, ..known.clone() })
            })
            .await;
        Self { shop, company, asked }
    }

    async fn order(&self, customer: &Client, changes: Value) -> Answer {
        let mut order = with(json!({"company_id": self.company}));
        order.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        customer.post("/v1/orders", &order).key(&CompanyId::new().to_string()).send().await
    }

    async fn placed(&self, customer: &Client, changes: Value) -> Answer {
        let answer = self.order(customer, changes).await;
        assert_eq!(answer.status, 201, "{answer}");
        answer
    }
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer}");
    answer.at("/data").as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_orders_for_the_company() {
    let shop = Shop::open().await;
    let bo = shop.bed.customer();
    let scene = Scene::of(shop, &[(bo.user_id(), CompanyRole::Buyer)], json!({})).await;
    let placed = scene.placed(&bo, json!({"purchase_order_number": "4500012345"})).await;
    assert_eq!(placed.at("/company_id"), &json!(scene.company));
    assert_eq!(
        (placed.at("/purchase_order_number"), placed.at("/user_id")),
        (&json!("4500012345"), &json!(bo.user_id()))
    );
    let path = format!("/v1/orders/{}", placed.text("/id"));
    assert_eq!(bo.get(&path).send().await.json, placed.json, "what is read later is what was answered");

    let order_id = placed.text("/id").parse().unwrap();
    let details = scene.shop.bed.call(&GetOrder { order_id }).await.expect("the order");
    let company = details.company.expect("its company");
    assert_eq!((company.company_id, company.purchase_order_number.as_deref()), (scene.company, Some("4500012345")));
    assert_eq!((company.buyer.name.as_str(), company.buyer.email.as_str()), ("Kontor GmbH", "invoices@kontor.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_orders_for_themselves_waits_for_nobody() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let scene = Scene::of(shop, &[], json!({})).await;
    let placed = scene.shop.place(&alice, &one_lamp()).await;
    assert_eq!((&placed.json["company_id"], &placed.json["purchase_order_number"]), (&Value::Null, &Value::Null));
    assert_eq!(scene.asked.load(Ordering::Relaxed), 0, "svc-user was asked about a company");
    assert_eq!(scene.shop.count("order_company").await, 0);
    let answer = alice.post("/v1/orders", &with(json!({"purchase_order_number": "1"}))).key("k").send().await;
    answer.problem("invalid_request", "/purchase_order_number");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_company_orders_in_its_currency() {
    let shop = Shop::open().await;
    let bo = shop.bed.customer();
    shop.preferences.lock().unwrap().currency = "USD".parse().unwrap();
    let scene = Scene::of(shop, &[(bo.user_id(), CompanyRole::Buyer)], json!({})).await;
    assert_eq!(scene.placed(&bo, json!({})).await.at("/currency"), "EUR", "whatever its buyer prefers");
    scene.order(&bo, json!({"currency": "USD"})).await.problem("invalid_request", "/currency");
}

#[tokio::test(flavor = "multi_thread")]
async fn buyers_have_a_limit_and_admins_have_none() {
    let shop = Shop::open().await;
    let (bo, al) = (shop.bed.customer(), shop.bed.customer());
    let members = [(bo.user_id(), CompanyRole::Buyer), (al.user_id(), CompanyRole::Admin)];
    // One lamp to Hamburg comes to 65.21.
    let limit = json!({"spending_limit": {"amount": 6521, "currency": "EUR"}});
    let scene = Scene::of(shop, &members, limit).await;
    scene.placed(&bo, json!({})).await;
    let two = json!({"lines": [{"sku": "LAMP", "quantity": 2}]});
    let refused = scene.order(&bo, two.clone()).await;
    refused.problem("forbidden", "");
    assert!(refused.text("/detail").contains("65.21 EUR"), "{refused}");
    let released = async || (scene.shop.catalog.released.lock().unwrap().len() == 1).then_some(());
    scene.shop.bed.wait_for("the stock of the refused order to be given back", released).await;
    scene.placed(&al, two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_order_is_refused_before_anything_is_held() {
    let shop = Shop::open().await;
    let (viewer, stranger) = (shop.bed.customer(), shop.bed.customer());
    let scene = Scene::of(shop, &[(viewer.user_id(), CompanyRole::Viewer)], json!({})).await;
    scene.order(&viewer, json!({})).await.problem("forbidden", "");
    scene.order(&stranger, json!({})).await.problem("invalid_request", "/company_id");
    let unknown = json!({"company_id": CompanyId::new()});
    scene.order(&viewer, unknown).await.problem("invalid_request", "/company_id");
    assert!(scene.shop.catalog.reserved.lock().unwrap().is_empty());
    assert_eq!(scene.shop.count("orders").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_active_company_orders_and_with_its_number_if_it_wants_one() {
    let shop = Shop::open().await;
    let bo = shop.bed.customer();
    let owner = [(bo.user_id(), CompanyRole::Owner)];
    let scene = Scene::of(shop, &owner, json!({"purchase_order_required": true})).await;
    scene.order(&bo, json!({})).await.problem("invalid_request", "/purchase_order_number");
    for number in ["", &"x".repeat(65)] {
        scene
            .order(&bo, json!({"purchase_order_number": number}))
            .await
            .problem("invalid_request", "/purchase_order_number");
    }
    scene.placed(&bo, json!({"purchase_order_number": "x".repeat(64)})).await;

    let shop = Shop::open().await;
    let bo = shop.bed.customer_with_id(bo.user_id());
    let suspended = Scene::of(shop, &owner, json!({"active": false})).await;
    suspended.order(&bo, json!({})).await.problem("conflict", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_see_each_others_orders_for_the_company_and_nobody_elses() {
    let shop = Shop::open().await;
    let (bo, vera, stranger) = (shop.bed.customer(), shop.bed.customer(), shop.bed.customer());
    let members = [(bo.user_id(), CompanyRole::Buyer), (vera.user_id(), CompanyRole::Viewer)];
    let scene = Scene::of(shop, &members, json!({})).await;
    let theirs = scene.placed(&bo, json!({})).await.text("/id");
    let own = scene.shop.place(&bo, &one_lamp()).await.id.to_string();
    let of_company = format!("/v1/orders?company_id={}", scene.company);

    for client in [&bo, &vera, &scene.shop.bed.staff()] {
        assert_eq!(ids(&client.get(&of_company).send().await), std::slice::from_ref(&theirs));
        assert_eq!(client.get(&format!("/v1/orders/{theirs}")).send().await.status, 200);
        assert_eq!(client.get(&format!("/v1/orders/{theirs}/history")).send().await.status, 200);
    }
    assert_eq!(ids(&bo.get("/v1/orders").send().await), [own.clone(), theirs.clone()], "one's own, whomever for");
    assert_eq!(ids(&vera.get("/v1/orders").send().await), [""; 0]);
    assert_eq!(ids(&vera.get(&format!("{of_company}&status=canceled")).send().await), [""; 0]);
    vera.get(&format!("/v1/orders/{own}")).send().await.problem("not_found", "");
    vera.request("POST", &format!("/v1/orders/{theirs}/cancel")).send().await.problem("not_found", "");
    for path in [of_company.as_str(), &format!("/v1/orders/{theirs}"), &format!("/v1/orders/{theirs}/history")] {
        stranger.get(path).send().await.problem("not_found", "");
    }
    vera.get(&format!("/v1/orders?company_id={}", CompanyId::new())).send().await.problem("not_found", "");
    vera.get("/v1/orders?company_id=x").send().await.problem("malformed_request", "?company_id");
}
