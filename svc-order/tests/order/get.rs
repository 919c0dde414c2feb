//! `get_order`, `get_order_history`: whose they are.

use nats::types::OrderId;

use crate::shop::{Shop, one_lamp};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_its_owners_and_the_staffs() {
    let shop = Shop::open().await;
    let (alice, bob, staff) = (shop.bed.customer(), shop.bed.customer(), shop.bed.staff());
    let placed = shop.place(&alice, &one_lamp()).await;
    for path in [format!("/v1/orders/{}", placed.id), format!("/v1/orders/{}/history", placed.id)] {
        assert_eq!(alice.get(&path).send().await.status, 200);
        assert_eq!(staff.get(&path).send().await.status, 200);
        bob.get(&path).send().await.problem("not_found", "");
        shop.bed.nobody().get(&path).send().await.problem("unauthenticated", "");
    }
    for id in [OrderId::new().to_string(), "ord_nonsense".to_owned(), placed.id.to_string().replace("ord_", "usr_")] {
        alice.get(&format!("/v1/orders/{id}")).send().await.problem("not_found", "");
        alice.get(&format!("/v1/orders/{id}/history")).send().await.problem("not_found", "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_says_what_when_why_and_by_whom() {
    let shop = Shop::open().await;
    let (alice, staff) = (shop.bed.customer(), shop.bed.staff());
    let placed = shop.place(&alice, &one_lamp()).await;
    let path = format!("/v1/orders/{}", placed.id);
    assert_eq!(staff.request("POST", &format!("{path}/cancel")).send().await.status, 200);

    let told = alice.get(&format!("{path}/history")).send().await;
    assert_eq!(told.at("/data/0/change"), "placed");
    assert_eq!(told.at("/data/0/by"), "customer");
    assert_eq!(told.at("/data/1/change"), "canceled");
    assert_eq!(told.at("/data/1/by"), "staff");
    assert_eq!(told.at("/data/1/status"), "canceled");
    assert_eq!(told.at("/data/1/why"), "The shop canceled it.");
    assert!(told.at("/data/1/at").is_string() && told.at("/data/1/user_id").is_null(), "{told}");
    let told = staff.get(&format!("{path}/history")).send().await;
    assert_eq!(told.at("/data/1/user_id"), staff.user_id().to_string().as_str(), "staff is told who");
}
