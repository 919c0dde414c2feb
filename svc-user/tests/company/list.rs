use nats::identity::Permission;
use serde_json::{Value, json};
use stack::bed::{Answer, Client};

use super::{COMPANIES, Company, NOWHERE, kontor, person};
use crate::start;

fn names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer}");
    answer.at("/data").as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

async fn register(owner: &Client, name: &str, changes: Value) {
    let mut new = kontor();
    new.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    new["name"] = json!(name);
    let created = owner.post(COMPANIES, &new).send().await;
    assert_eq!(created.status, 201, "{created}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_sees_their_own_and_staff_finds_all() {
    let (bed, _running) = start().await;
    let (ada, bob) = (person(&bed, "ada@example.com").await, person(&bed, "bob@example.com").await);
    register(&ada, "Argosy Retail", json!({"legal_name": "Zulu Ltd", "vat_id": "DE111111111"})).await;
    register(&bob, "Bravo 100%", json!({"legal_name": null, "vat_id": "FR12345678901"})).await;
    register(&ada, "Charlie", json!({"legal_name": null, "vat_id": null})).await;
    let staff = bed.staff();
    for (query, expected) in [
        ("", vec!["Charlie", "Bravo 100%", "Argosy Retail"]),
        ("?search=ARGOSY", vec!["Argosy Retail"]),
        ("?search=argosy%20r", vec!["Argosy Retail"]),
        ("?search=zulu", vec!["Argosy Retail"]),
        ("?search=retail", vec![]),
        ("?search=%25", vec![]),
        ("?search=bravo%20100%25", vec!["Bravo 100%"]),
        ("?search=fr%2012345678901", vec!["Bravo 100%"]),
        ("?status=pending", vec!["Charlie", "Bravo 100%", "Argosy Retail"]),
        ("?status=active", vec![]),
    ] {
        assert_eq!(names(&staff.get(&format!("{COMPANIES}{query}")).send().await), expected, "{query}");
    }
    assert_eq!(names(&ada.get(COMPANIES).send().await), ["Charlie", "Argosy Retail"]);
    assert_eq!(names(&ada.get(&format!("{COMPANIES}?search=bravo")).send().await), [""; 0], "a search opens nothing");
    assert_eq!(names(&bob.get(COMPANIES).send().await), ["Bravo 100%"]);
    let reader = bed.holding(&[Permission::CompaniesRead]);
    assert_eq!(names(&reader.get(COMPANIES).send().await).len(), 3);
    bed.nobody().get(COMPANIES).send().await.problem("unauthenticated", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other() {
    let (bed, _running) = start().await;
    let ada = person(&bed, "ada@example.com").await;
    for name in ["One", "Two", "Three"] {
        register(&ada, name, json!({})).await;
    }
    let first = ada.get(&format!("{COMPANIES}?limit=2")).send().await;
    assert_eq!(names(&first), ["Three", "Two"]);
    let rest = ada.get(&format!("{COMPANIES}?limit=2&cursor={}", first.text("/next_cursor"))).send().await;
    assert_eq!((names(&rest), rest.at("/next_cursor")), (vec!["One".to_owned()], &Value::Null));
    for (query, pointer) in [("limit=0", "?limit"), ("status=gone", "?status"), ("cursor=abcd", "?cursor")] {
        ada.get(&format!("{COMPANIES}?{query}")).send().await.problem("malformed_request", pointer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_company_does_not_exist() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let bob = person(&company.bed, "bob@example.com").await;
    for path in [company.path.as_str(), NOWHERE, "/v1/companies/1", "/v1/companies/usr_01h455vb4pex5vsknk084sn02q"] {
        bob.get(path).send().await.problem("not_found", "");
    }
    let seen = company.bed.staff().get(&company.path).send().await;
    assert_eq!((seen.status, seen.at("/role")), (200, &Value::Null), "staff is no member: {seen}");
    company.bed.staff().get(NOWHERE).send().await.problem("not_found", "");
}
