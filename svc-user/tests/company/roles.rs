//! Who may do what in a company: every operation, as everyone.

use nats::types::CompanyRole;
use serde_json::{Value, json};
use stack::bed::{Answer, Client};

use super::{Company, person};
use crate::start;

/// Whether somebody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// They are; what they ask for may not be there, or may be wrong.
    In,
    /// They are told that it is not theirs to do.
    Forbidden,
    /// They are told that there is no such company.
    NoCompany,
}
use Gate::{Forbidden, In, NoCompany};

/// Operation, and what becomes of viewer, buyer, admin, owner, staff and strangers.
const TABLE: [(&str, &str, [Gate; 6]); 20] = [
    ("GET", "", [In, In, In, In, In, NoCompany]),
    ("PATCH", "", [Forbidden, Forbidden, In, In, NoCompany, NoCompany]),
    ("POST", "/approve", [Forbidden, Forbidden, Forbidden, Forbidden, In, Forbidden]),
    ("POST", "/reject", [Forbidden, Forbidden, Forbidden, Forbidden, In, Forbidden]),
    ("POST", "/suspend", [Forbidden, Forbidden, Forbidden, Forbidden, In, Forbidden]),
    ("GET", "/configuration", [In, In, In, In, In, NoCompany]),
    ("PATCH", "/configuration", [Forbidden, Forbidden, In, In, NoCompany, NoCompany]),
    ("GET", "/members", [In, In, In, In, In, NoCompany]),
    ("PATCH", "/members/{somebody}", [Forbidden, Forbidden, In, In, NoCompany, NoCompany]),
    ("DELETE", "/members/{somebody}", [Forbidden, Forbidden, In, In, NoCompany, NoCompany]),
    ("GET", "/invitations", [Forbidden, Forbidden, In, In, NoCompany, NoCompany]),
    ("POST", "/invitations", [Forbidden, Forbidden, In, In, NoCompany, NoCompany]),
    ("POST", "/invitations/{invitation}/resend", [Forbidden, Forbidden, In, In, NoCompany, NoCompany]),
    ("DELETE", "/invitations/{invitation}", [Forbidden, Forbidden, In, In, NoCompany, NoCompany]),
    ("GET", "/documents", [Forbidden, Forbidden, In, In, In, NoCompany]),
    ("POST", "/documents?document_type_id={type}&filename=x", [Forbidden, Forbidden, In, In, NoCompany, NoCompany]),
    ("GET", "/documents/{document}", [Forbidden, Forbidden, In, In, In, NoCompany]),
    ("GET", "/documents/{document}/content", [Forbidden, Forbidden, In, In, In, NoCompany]),
    ("DELETE", "/documents/{document}", [Forbidden, Forbidden, In, In, NoCompany, NoCompany]),
    ("POST", "/documents/{document}/accept", [Forbidden, Forbidden, Forbidden, Forbidden, In, Forbidden]),
];

/// What an operation needs to get as far as its gate.
fn body_of(method: &str, path: &str) -> Option<Value> {
    match (method, path) {
        ("PATCH", "/members/{somebody}") => Some(json!({"role": "viewer"})),
        ("PATCH", _) => Some(json!({})),
        ("POST", "/reject" | "/suspend") => Some(json!({"reason": "Why not."})),
        ("POST", "/invitations") => Some(json!({"email": "ada@example.com", "role": "viewer"})),
        _ => None,
    }
}

fn gate(answer: &Answer) -> Gate {
    match answer.status {
        403 => Forbidden,
        404 if answer.at("/detail") == "There is no such company." => NoCompany,
        status if status < 500 && status != 401 => In,
        _ => panic!("{answer}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_let_in_where_they_may_be_and_refused_everywhere_else() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let mut visitors: Vec<Client> = Vec::new();
    for role in CompanyRole::ALL {
        visitors.push(company.member(&format!("{role}@example.com"), role).await);
    }
    visitors.push(company.bed.staff());
    visitors.push(person(&company.bed, "eve@example.com").await);
    let suffix = "01h455vb4pex5vsknk084sn02q";
    for (method, path, gates) in TABLE {
        let there = [("somebody", "usr"), ("invitation", "ivt"), ("type", "dty"), ("document", "doc")]
            .into_iter()
            .fold(path.to_owned(), |path, (place, kind)| {
                path.replace(&format!("{{{place}}}"), &format!("{kind}_{suffix}"))
            });
        for (visitor, expected) in visitors.iter().zip(gates) {
            let request = visitor.request(method, &format!("{}{there}", company.path));
            let request = match body_of(method, path) {
                Some(body) => request.json(&body),
                None if path.starts_with("/documents?") => request.raw("%PDF-1.7", "application/pdf"),
                None => request,
            };
            let answer = request.send().await;
            assert_eq!(gate(&answer), expected, "{method} {path} as {}: {answer}", visitor.user_id());
        }
    }
}
