use nats::{
    contracts::trail::{TrailBegan, TrailEnded},
    types::{SessionId, TrailEntryId, UserId},
};
use serde_json::json;

use super::{TRAIL, began, ended, ids, moment, recorded, trail};
use crate::{register, signed_in, start, user_of};

const ACTIVITY: &str = "/v1/users/me/activity";

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_is_asked_for_by_person_deed_thing_time_and_outcome() {
    let (bed, _running) = start().await;
    let (ada, bob, admin) = (UserId::new(), UserId::new(), bed.admin());
    let placed = began("place_order", Some(ada), "ord_1");
    let canceled = began("cancel_order", Some(ada), "ord_1");
    let refused = began("cancel_order", Some(bob), "ord_1");
    let broken = began("set_stock", Some(bob), "LMP-1");
    let cut_off = began("set_stock", Some(bob), "LMP-2");
    let login = began("login", None, "none");
    let ends = vec![
        TrailEnded { created: Some("ord_1".to_owned()), ..ended(&placed, 201) },
        ended(&canceled, 200),
        ended(&refused, 404),
        ended(&broken, 504),
        TrailEnded { concerns: Some(ada), ..ended(&login, 401) },
    ];
    let all = [placed, canceled, refused, broken, cut_off, login];
    bed.publish(&recorded(all.to_vec(), ends)).await;
    let newest_first: Vec<TrailEntryId> = all.iter().rev().map(|entry| entry.id).collect();
    assert_eq!(ids(&trail(&bed, &admin, 6).await), newest_first);

    let (third, fourth) = (moment(all[2].at), moment(all[3].at + chrono::Duration::milliseconds(1)));
    let between: Vec<usize> =
        (0..6).filter(|place| all[*place].at >= all[2].at && all[*place].at <= all[3].at).collect();
    for (query, expected) in [
        (format!("actor={ada}"), vec![0, 1]),
        (format!("actor={bob}&operation=set_stock"), vec![3, 4]),
        ("operation=cancel_order".to_owned(), vec![1, 2]),
        ("target=ord_1".to_owned(), vec![0, 1, 2]),
        (format!("target={ada}"), vec![0, 1, 5]),
        ("target=LMP-1&outcome=failed".to_owned(), vec![3]),
        ("outcome=succeeded".to_owned(), vec![0, 1]),
        ("outcome=refused".to_owned(), vec![2, 5]),
        ("outcome=failed".to_owned(), vec![3]),
        ("outcome=unknown".to_owned(), vec![4]),
        (format!("from={third}&to={fourth}"), between),
        (format!("to={}", moment(all[0].at)), vec![]),
        (format!("actor={}", UserId::new()), vec![]),
        ("operation=delete_everything".to_owned(), vec![]),
    ] {
        let mut expected: Vec<TrailEntryId> = expected.into_iter().map(|place| all[place].id).collect();
        expected.reverse();
        assert_eq!(ids(&admin.get(&format!("{TRAIL}?{query}")).send().await), expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_each_entry_once_however_they_are_filtered() {
    let (bed, _running) = start().await;
    let (ada, admin) = (UserId::new(), bed.admin());
    let all: Vec<TrailBegan> = (0..5).map(|_| began("place_order", Some(ada), "ord_1")).collect();
    bed.publish(&recorded(all.clone(), all.iter().map(|entry| ended(entry, 201)).collect())).await;
    trail(&bed, &admin, 5).await;

    for filter in ["", "target=ord_1", "outcome=succeeded", "operation=place_order"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = admin.get(&format!("{TRAIL}?limit=2&{filter}{cursor}")).send().await;
            seen.extend(ids(&page));
            match page.at("/next_cursor").as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, all.iter().rev().map(|entry| entry.id).collect::<Vec<_>>(), "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_whoever_may_read_it_reads_it() {
    let (bed, _running) = start().await;
    bed.nobody().get(TRAIL).send().await.problem("unauthenticated", "");
    for client in [bed.customer(), bed.staff()] {
        client.get(TRAIL).send().await.problem("forbidden", "");
    }
    let admin = bed.admin();
    for (wrong, pointer) in [
        ("outcome=perhaps", "?outcome"),
        ("actor=ada", "?actor"),
        ("from=yesterday", "?from"),
        ("cursor=abc", "?cursor"),
        ("target=", "?target"),
    ] {
        admin.get(&format!("{TRAIL}?{wrong}")).send().await.problem("malformed_request", pointer);
    }
    bed.nobody().get(ACTIVITY).send().await.problem("unauthenticated", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_sees_what_was_done_as_them_and_to_their_account_and_nothing_else() {
    let (bed, _running) = start().await;
    let answer = register(&bed, "ada@example.com").await;
    let (ada, client) = (user_of(&answer), signed_in(&bed, &answer).await);
    let (staff, session) = (UserId::new(), SessionId::new());
    let own = TrailBegan { session_id: Some(session), ..began("place_order", Some(ada), "none") };
    let guessed = began("login", None, "none");
    let by_staff = TrailBegan { session_id: Some(session), ..began("set_user_roles", Some(staff), &ada.to_string()) };
    let others = began("place_order", Some(UserId::new()), "ord_1");
    let all = vec![own.clone(), guessed.clone(), by_staff.clone(), others];
    let ends = vec![
        TrailEnded { created: Some("ord_1".to_owned()), ..ended(&own, 201) },
        TrailEnded { concerns: Some(ada), ..ended(&guessed, 401) },
    ];
    bed.publish(&recorded(all, ends)).await;
    trail(&bed, &bed.admin(), 4).await;

    let answer = client.get(ACTIVITY).send().await;
    assert_eq!(ids(&answer), [by_staff.id, guessed.id, own.id]);
    let seen =
        |place: usize, fields: [&str; 5]| fields.map(|field| answer.at(&format!("/data/{place}/{field}")).clone());
    let fields = ["by", "outcome", "address", "user_agent", "session_id"];
    let (address, user_agent) = (json!("198.51.100.7"), json!("Laptop/1.0"));
    for (place, expected) in [
        (0, [json!("somebody_else"), json!("unknown"), json!(null), json!(null), json!(null)]),
        (1, [json!("nobody"), json!("refused"), address.clone(), user_agent.clone(), json!(null)]),
        (2, [json!("you"), json!("succeeded"), address, user_agent, json!(session)]),
    ] {
        assert_eq!(seen(place, fields), expected, "{answer}");
    }
    assert!(!answer.to_string().contains(&staff.to_string()), "{answer}");
    assert_eq!(ids(&bed.customer().get(ACTIVITY).send().await), []);
}
