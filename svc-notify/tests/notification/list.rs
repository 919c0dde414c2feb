//! GET /v1/notifications

use nats::{contracts::user::UserRegistered, types::UserId};
use serde_json::json;
use stack::bed::Bed;

use super::given::{address, everybody_is_called, free_port, logged, register, run, run_at};

#[tokio::test(flavor = "multi_thread")]
async fn people_see_their_own_and_staff_sees_all_without_address_or_body() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let (_running, _) = run(&bed).await;
    let (alice, bob, staff) = (bed.customer(), bed.customer(), bed.staff());
    for user_id in [alice.user_id(), bob.user_id()] {
        bed.publish(&UserRegistered { user_id }).await;
        logged(&bed, user_id, "it is sent", |entry| entry.state == "sent").await;
    }

    let own = alice.get("/v1/notifications").send().await;
    assert_eq!(own.status, 200, "{own}");
    for (pointer, expected) in [
        ("/data/0/user_id", json!(alice.user_id())),
        ("/data/0/channel", json!("email")),
        ("/data/0/template", json!("welcome")),
        ("/data/0/subject", json!("Welcome to Argosy, Ada")),
        ("/data/0/state", json!("sent")),
        ("/data/0/attempts", json!(1)),
        ("/data/1", json!(null)),
        ("/next_cursor", json!(null)),
    ] {
        assert_eq!(own.at(pointer), &expected, "{pointer} in {own}");
    }
    assert!(own.text("/data/0/id").starts_with("ntf_"), "{own}");

    let all = staff.get("/v1/notifications").send().await;
    assert_eq!(all.json["data"].as_array().unwrap().len(), 2, "{all}");
    assert_eq!(all.at("/data/0/user_id"), &json!(bob.user_id()), "the newest is first: {all}");
    let text = all.to_string();
    assert!(!text.contains(&address(alice.user_id())) && !text.contains("<html"), "{text}");

    let foreign = alice.get(&format!("/v1/notifications?user_id={}", bob.user_id())).send().await;
    assert_eq!(foreign.at("/data"), &json!([]), "a filter never widens: {foreign}");
    let unsigned = bed.nobody().get("/v1/notifications").send().await;
    assert_eq!(unsigned.status, 401, "{unsigned}");
    unsigned.problem("unauthenticated", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_filters_by_state_and_user() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let _running = run_at(&bed, free_port()).await;
    let (one, other, staff) = (register(&bed).await, register(&bed).await, bed.staff());
    for user in [one, other] {
        logged(&bed, user, "it was tried", |entry| entry.attempts > 0).await;
    }
    let count = async |query: &str| {
        let answer = staff.get(&format!("/v1/notifications?{query}")).send().await;
        answer.json["data"].as_array().unwrap_or_else(|| panic!("{answer}")).len()
    };
    assert_eq!(count("state=sent").await, 0);
    assert_eq!(count("state=failed").await, 0);
    assert_eq!(count(&format!("user_id={one}")).await, 1);
    assert_eq!(count(&format!("user_id={}", UserId::new())).await, 0);
    assert_eq!(count(&format!("state=sent&user_id={one}")).await, 0);
    assert_eq!(count("").await, 2);
    let shown = staff.get(&format!("/v1/notifications?user_id={one}")).send().await;
    assert!(shown.at("/data/0/last_error").is_string(), "staff sees why: {shown}");
    let own = bed.customer_with_id(one).get("/v1/notifications").send().await;
    assert_eq!(own.at("/data/0/last_error"), &json!(null), "customers do not: {own}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_show_everything_once() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let (_running, _) = run(&bed).await;
    let staff = bed.staff();
    for _ in 0..5 {
        let user = register(&bed).await;
        logged(&bed, user, "it is there", |_| true).await;
    }
    let (mut seen, mut target) = (Vec::new(), "/v1/notifications?limit=2".to_owned());
    loop {
        let page = staff.get(&target).send().await;
        assert_eq!(page.status, 200, "{page}");
        let rows = page.json["data"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        match page.at("/next_cursor").as_str() {
            Some(cursor) => {
                target = format!("/v1/notifications?limit=2&cursor={cursor}");
                assert_eq!(page.header("link"), Some(format!("<{target}>; rel=\"next\"").as_str()), "{page}");
            }
            None => {
                assert_eq!(page.header("link"), None, "the last page: {page}");
                break;
            }
        }
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert!(seen.is_sorted_by(|one, next| one > next), "newest first, none twice: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_cannot_be_read_are_named() {
    let bed = Bed::start().await;
    let (_running, _) = run(&bed).await;
    let staff = bed.staff();
    for (query, pointer) in [
        ("limit=0", "?limit"),
        ("limit=101", "?limit"),
        ("limit=x", "?limit"),
        ("state=lost", "?state"),
        ("user_id=42", "?user_id"),
        ("cursor=%20", "?cursor"),
        ("cursor=abc", "?cursor"),
    ] {
        let answer = staff.get(&format!("/v1/notifications?{query}")).send().await;
        assert_eq!(answer.status, 400, "{query}: {answer}");
        answer.problem("malformed_request", pointer);
    }
}
