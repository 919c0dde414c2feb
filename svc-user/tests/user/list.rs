use serde_json::json;
use stack::bed::Answer;

use crate::{register, start};

fn emails(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer}");
    let data = answer.at("/data").as_array().unwrap().len();
    (0..data).map(|entry| answer.text(&format!("/data/{entry}/email"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_find_people_by_address_and_name() {
    let (bed, _running) = start().await;
    for (email, name) in
        [("ada@example.com", "Ada King"), ("bob@example.org", "Bob 100%"), ("c_d@example.com", "Cy Ada")]
    {
        let body = json!({"email": email, "password": "12345678", "name": name});
        assert_eq!(bed.nobody().post("/v1/auth/register", &body).send().await.status, 201);
    }
    let staff = bed.staff();
    for (query, expected) in [
        ("", vec!["c_d@example.com", "bob@example.org", "ada@example.com"]),
        ("?search=ADA", vec!["c_d@example.com", "ada@example.com"]),
        ("?search=example.org", vec!["bob@example.org"]),
        ("?search=%25", vec!["bob@example.org"]),
        ("?search=_", vec!["c_d@example.com"]),
        ("?search=%5C", vec![]),
        ("?search=zoe", vec![]),
    ] {
        let answer = staff.get(&format!("/v1/users{query}")).send().await;
        assert_eq!(emails(&answer), expected, "{query}");
        assert!(!answer.to_string().contains("argon2"), "{answer}");
    }
    assert_eq!(bed.admin().get("/v1/users").send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_everybody_once() {
    let (bed, _running) = start().await;
    for number in 0..5 {
        register(&bed, &format!("user{number}@example.com")).await;
    }
    let staff = bed.staff();
    let (mut seen, mut target) = (Vec::new(), "/v1/users?limit=2".to_owned());
    loop {
        let page = staff.get(&target).send().await;
        seen.extend(emails(&page));
        let Some(cursor) = page.at("/next_cursor").as_str() else { break };
        target = format!("/v1/users?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, [4, 3, 2, 1, 0].map(|number| format!("user{number}@example.com")));
    for (query, pointer) in [
        ("limit=0", "?limit"),
        ("limit=101", "?limit"),
        ("search=", "?search"),
        ("cursor=$", "?cursor"),
        ("cursor=abcd", "?cursor"),
    ] {
        let answer = staff.get(&format!("/v1/users?{query}")).send().await;
        assert_eq!(answer.status, 400, "{query}: {answer}");
        answer.problem("malformed_request", pointer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_for_staff_only() {
    let (bed, _running) = start().await;
    bed.nobody().get("/v1/users").send().await.problem("unauthenticated", "");
    let answer = bed.customer().get("/v1/users").send().await;
    assert_eq!(answer.status, 403, "{answer}");
    answer.problem("forbidden", "");
}
