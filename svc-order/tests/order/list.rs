//! `list_orders`: own orders, filters, pages.

use serde_json::Value;
use stack::bed::{Answer, Client};

use crate::shop::{Shop, one_lamp};

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer}");
    answer.at("/data").as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

async fn list(client: &Client, query: &str) -> Vec<String> {
    ids(&client.get(&format!("/v1/orders{query}")).send().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_sees_their_own_and_staff_sees_all() {
    let shop = Shop::open().await;
    let (alice, bob, staff) = (shop.bed.customer(), shop.bed.customer(), shop.bed.staff());
    let first = shop.place(&alice, &one_lamp()).await.id.to_string();
    let bobs = shop.place(&bob, &one_lamp()).await.id.to_string();
    let second = shop.place(&alice, &one_lamp()).await.id.to_string();
    assert_eq!(alice.request("POST", &format!("/v1/orders/{first}/cancel")).send().await.status, 200);

    assert_eq!(list(&alice, "").await, [second.clone(), first.clone()], "latest first");
    assert_eq!(list(&bob, "").await, std::slice::from_ref(&bobs));
    assert_eq!(list(&bob, &format!("?user_id={}", alice.user_id())).await, [""; 0], "a filter opens nothing");
    assert_eq!(list(&staff, "").await, [second.clone(), bobs.clone(), first.clone()]);
    assert_eq!(list(&staff, &format!("?user_id={}", bob.user_id())).await, [bobs]);
    assert_eq!(list(&staff, "?status=canceled").await, [first]);
    assert_eq!(list(&alice, "?status=pending").await, [second]);
    assert_eq!(list(&alice, "?status=completed").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(shop.place(&alice, &one_lamp()).await.id.to_string());
    }
    placed.reverse();
    let mut seen = Vec::new();
    let mut target = "/v1/orders?limit=2&status=pending".to_owned();
    loop {
        let page = alice.get(&target).send().await;
        seen.extend(ids(&page));
        let Some(link) = page.header("link") else {
            assert_eq!(page.at("/next_cursor"), &Value::Null, "no link on the last page");
            break;
        };
        assert!(link.contains(&page.text("/next_cursor")) && link.ends_with("; rel=\"next\""), "{link}");
        target = link.split_once('<').unwrap().1.split_once('>').unwrap().0.to_owned();
    }
    assert_eq!(seen, placed);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_parameters_are_pointed_at() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    for (query, pointer) in [
        ("limit=0", "?limit"),
        ("limit=101", "?limit"),
        ("status=lost", "?status"),
        ("user_id=alice", "?user_id"),
        ("cursor=x", "?cursor"),
        ("cursor=%20", "?cursor"),
        ("cursor=bm9uc2Vuc2U", "?cursor"),
    ] {
        alice.get(&format!("/v1/orders?{query}")).send().await.problem("malformed_request", pointer);
    }
    shop.bed.nobody().get("/v1/orders").send().await.problem("unauthenticated", "");
}
