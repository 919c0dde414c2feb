use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{contracts::user::GrantRole, identity::Permission, types::UserId};
use serde_json::json;
use stack::bed::Answer;

use crate::{register, sql, start, user_of};

fn emails(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer}");
    let data = answer.at("/data").as_array().unwrap().len();
    (0..data).map(|entry| answer.text(&format!("/data/{entry}/email"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_find_people_by_address_and_name() {
    let (bed, _running) = start().await;
    for (email, name) in
        [("ada@example.com", "Ada King"), ("bob@example.org", "Bob 100%"), ("c_d@example.com", "Cy Ada\\B")]
    {
        let body = json!({"email": email, "password": "12345678", "name": name});
        assert_eq!(bed.nobody().post("/v1/auth/register", &body).send().await.status, 201);
    }
    let staff = bed.staff();
    for (query, expected) in [
        ("", vec!["c_d@example.com", "bob@example.org", "ada@example.com"]),
        ("?search=ADA", vec!["c_d@example.com", "ada@example.com"]),
        ("?search=example.org", vec!["bob@example.org"]),
        ("?search=00%25", vec!["bob@example.org"]),
        ("?search=a%25a", vec![]),
        ("?search=c_d", vec!["c_d@example.com"]),
        ("?search=a_a", vec![]),
        ("?search=da%5Cb", vec!["c_d@example.com"]),
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
        ("search=ab", "?search"),
        ("role=Staff", "?role"),
        ("cursor=$", "?cursor"),
        ("cursor=abcd", "?cursor"),
    ] {
        let answer = staff.get(&format!("/v1/users?{query}")).send().await;
        assert_eq!(answer.status, 400, "{query}: {answer}");
        answer.problem("malformed_request", pointer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_have_a_role_can_be_listed() {
    let (bed, _running) = start().await;
    for number in 0..4 {
        register(&bed, &format!("user{number}@example.com")).await;
    }
    for (number, role) in [(1, "staff"), (3, "staff"), (3, "admin")] {
        let email = format!("user{number}@example.com").parse().unwrap();
        bed.call(&GrantRole { email, role: role.parse().unwrap() }).await.expect("granted");
    }
    let reader = bed.holding(&[Permission::UsersRead]);
    for (query, expected) in [
        ("role=staff", vec![3, 1]),
        ("role=admin", vec![3]),
        ("role=customer", vec![3, 2, 1, 0]),
        ("role=nobody", vec![]),
        ("role=staff&search=user1", vec![1]),
        ("role=staff&limit=1", vec![3]),
    ] {
        let answer = reader.get(&format!("/v1/users?{query}")).send().await;
        let expected: Vec<String> = expected.into_iter().map(|number| format!("user{number}@example.com")).collect();
        assert_eq!(emails(&answer), expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_can_be_read() {
    let (bed, _running) = start().await;
    let ada = user_of(&register(&bed, "ada@example.com").await);
    let reader = bed.holding(&[Permission::UsersRead]);

    let read = reader.get(&format!("/v1/users/{ada}")).send().await;

    assert_eq!(
        (read.status, read.text("/email"), read.at("/roles")),
        (200, "ada@example.com".to_owned(), &json!(["customer"]))
    );
    reader.get(&format!("/v1/users/{}", UserId::new())).send().await.problem("not_found", "");
    bed.customer_with_id(ada).get(&format!("/v1/users/{ada}")).send().await.problem("forbidden", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_found_by_looking_at_everybody() {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = sql_types::Text, column_name = "QUERY PLAN")]
        line: String,
    }
    let (bed, _running) = start().await;
    sql(
        &bed,
        "insert into \"user\" (id, email, name, password_hash, roles)
         select gen_random_uuid(), md5(n::text) || '@example.com', md5((n + 1)::text), '$argon2id$none',
                case when n % 5000 = 0 then '{customer,staff}'::text[] else '{customer}'::text[] end
         from generate_series(1, 20000) n",
    )
    .await;
    let mut database = bed.sql("user").await;
    sql_query("vacuum analyze \"user\"").execute(&mut database).await.unwrap();
    for condition in [
        "(email ilike '%cafe12%' or name ilike '%cafe12%')",
        "roles @> array['staff'] and roles <> '{customer}'",
        "roles @> array['customer']",
    ] {
        let query = format!("explain select * from \"user\" where {condition} order by id desc limit 21");
        let plan: Vec<Line> = sql_query(query).load(&mut database).await.unwrap();
        let plan: Vec<String> = plan.into_iter().map(|line| line.line).collect();
        assert!(!plan.join("\n").contains("Seq Scan"), "{condition}: {plan:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_for_those_who_may_read_people() {
    let (bed, _running) = start().await;
    bed.nobody().get("/v1/users").send().await.problem("unauthenticated", "");
    let answer = bed.customer().get("/v1/users").send().await;
    assert_eq!(answer.status, 403, "{answer}");
    answer.problem("forbidden", "");
    assert_eq!(bed.holding(&[Permission::UsersRead]).get("/v1/users").send().await.status, 200);
}
