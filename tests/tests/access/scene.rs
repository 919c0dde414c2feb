//! Who comes, and what there is to be visited: one real thing of each kind, all of the same customer.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Duration, Utc};
use nats::{
    connect::connect,
    contracts::user::GrantRole,
    identity::Role,
    invoke::Caller,
    topology::{OPERATOR, Topology},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Operation,
    Visitor::{self, Admin, Customer, KeyWith, KeyWithout, Nobody, Other, Staff},
};
use crate::{
    journey::new_article,
    shop::{Answer, Person, Shop},
};

const PASSWORD: &str = "correct horse battery";
/// As much of a document as it takes.
const PDF: &str = "%PDF-1.7";
/// Those that end or take away what they are about: there is another one after each visitor who is let in.
const TAKING_AWAY: [&str; 7] = [
    "end_session",
    "revoke_api_key",
    "delete_address",
    "delete_product",
    "remove_cart_item",
    "delete_role",
    "delete_company_document",
];
/// Those that end sessions of whoever comes: for them comes somebody new.
const ENDING_SESSIONS: [&str; 3] = ["logout", "end_other_sessions", "change_password"];

/// The visitors, and what there is to be visited.
pub(super) struct Scene {
    shop: &'static Shop,
    people: BTreeMap<Visitor, Person>,
    /// By scope and kind.
    keys: BTreeMap<(String, Visitor), Person>,
    /// What is the first customer's, by its place in a path.
    pub(super) own: BTreeMap<&'static str, String>,
    /// What belongs to nobody, by its place in a path.
    common: BTreeMap<&'static str, String>,
}

impl Scene {
    pub(super) async fn set(operations: &[Operation]) -> Self {
        let shop = Shop::shared().await;
        let mut people = BTreeMap::from([(Nobody, shop.nobody())]);
        for visitor in [Customer, Other, Staff, Admin] {
            people.insert(visitor, somebody(shop, visitor).await);
        }
        let (customer, staff) = (&people[&Customer], &people[&Staff]);
        let sku = new_article(staff, 10).await;
        let order = customer.order("first", &sku, 1, "sandbox_ok").await.text("/id");
        let confirmed = customer.until(&format!("/v1/orders/{order}"), "/status", "confirmed").await;
        let invoice = customer.until(&format!("/v1/orders/{order}/invoice"), "/documents/0/state", "rendered").await;
        let payment = customer.get(&format!("/v1/orders/{order}/payments")).await.text("/data/0/id");
        let part = json!({ "amount": { "amount": 100, "currency": "EUR" }, "reason": "A scratch" });
        let refund = staff.request(Method::POST, &format!("/v1/payments/{payment}/refunds")).json(&part);
        let refund = Answer::of(refund.header("Idempotency-Key", &payment)).await.text("/id");
        shop.mail(&customer.email, "").await;
        let notification = customer.get("/v1/notifications").await.text("/data/0/id");
        let (company, invitation) = company(customer).await;
        let kind = json!({ "name": format!("Letter {}", uuid::Uuid::new_v4().simple()) });
        let document_type = staff.post("/v1/document-types", &kind).await.text("/id");
        let own = BTreeMap::from([
            ("/v1/companies/{id}", company),
            ("/invitations/{invitation_id}", invitation),
            ("/v1/orders/{id}", order.clone()),
            ("/v1/orders/{order_id}", order),
            ("/v1/invoices/{id}", invoice["id"].as_str().unwrap().to_owned()),
            ("/v1/payments/{id}", payment),
            ("/refunds/{refund_id}", refund),
            ("/v1/notifications/{notification_id}", notification),
            ("{user_id}", confirmed["user_id"].as_str().unwrap().to_owned()),
            ("/v1/users/{id}", confirmed["user_id"].as_str().unwrap().to_owned()),
            ("{email}", customer.email.clone()),
        ]);
        let common = BTreeMap::from([
            ("/v1/document-types/{id}", document_type.clone()),
            ("{document_type_id}", document_type),
            ("{sku}", sku),
            ("{slug}", shop.nobody().get("/v1/categories").await.text("/data/0/slug")),
            ("{format}", "pdf".to_owned()),
            ("/v1/countries/{code}", "DE".to_owned()),
            ("/external-identities/{id}", "ext_01h455vb4pex5vsknk084sn02q".to_owned()),
            ("{service}/{id}", "shipping/dlt_01h455vb4pex5vsknk084sn02q".to_owned()),
        ]);
        let keys = keys(customer, operations).await;
        let mut scene = Self { shop, people, keys, own, common };
        for operation in TAKING_AWAY {
            scene.put_back(operation).await;
        }
        scene
    }

    /// Makes once more what this operation takes away.
    pub(super) async fn put_back(&mut self, operation: &str) {
        let customer = &self.people[&Customer];
        match operation {
            "end_session" => {
                sign_in(self.shop, customer).await;
                let newest = customer.get("/v1/sessions").await.text("/data/0/id");
                self.own.insert("/v1/sessions/{id}", newest);
            }
            "revoke_api_key" => {
                let made = key(customer, &["order:read".to_owned()]).await;
                self.own.insert("/v1/api-keys/{id}", made.text("/id"));
            }
            "delete_address" => {
                let stored = customer.post("/v1/users/me/addresses", &address()).await;
                self.own.insert("/v1/users/me/addresses/{id}", stored.text("/id"));
            }
            "delete_company_document" => {
                let (company, kind) = (&self.own["/v1/companies/{id}"], &self.common["{document_type_id}"]);
                let path = format!("/v1/companies/{company}/documents?document_type_id={kind}&filename=x.pdf");
                let request = customer.request(Method::POST, &path).header("Content-Type", "application/pdf");
                let shown = Answer::of(request.body(PDF)).await;
                assert_eq!(shown.status, 201, "{shown}");
                self.own.insert("/documents/{document_id}", shown.text("/id"));
            }
            "delete_product" => {
                let sku = new_article(&self.people[&Staff], 1).await;
                let found = self.shop.nobody().get(&format!("/v1/products?search={sku}")).await;
                self.common.insert("{product_id}", found.text("/data/0/id"));
            }
            "delete_role" => {
                let name = format!("visited_{}", &uuid::Uuid::new_v4().simple().to_string()[..16]);
                let new = json!({ "name": name, "description": "To be visited.", "permissions": [] });
                let made = self.people[&Admin].post("/v1/roles", &new).await;
                assert_eq!(made.status, 201, "{made}");
                self.common.insert("/v1/roles/{name}", name);
            }
            "remove_cart_item" => {
                let line = json!({ "sku": self.common["{sku}"], "quantity": 1 });
                let put = customer.post("/v1/cart/items", &line).await;
                assert_eq!(put.status, 201, "{put}");
            }
            _ => {}
        }
    }

    pub(super) async fn visitor(&self, visitor: Visitor, operation: &Operation) -> Person {
        match visitor {
            KeyWithout | KeyWith => self.keys[&(operation.scope.clone(), visitor)].clone(),
            Customer | Other | Staff | Admin if ENDING_SESSIONS.contains(&operation.id.as_str()) => {
                somebody(self.shop, visitor).await
            }
            Nobody | Customer | Other | Staff | Admin => self.people[&visitor].clone(),
        }
    }

    pub(super) async fn visit(&self, operation: &Operation, person: &Person) -> Answer {
        let query = match operation.id.as_str() {
            // A filter narrows what one may see.
            "list_orders" | "list_notifications" => "?user_id={user_id}",
            "list_shipping_rates" => "?country=DE",
            "upload_company_document" => "?document_type_id={document_type_id}&filename=x.pdf",
            _ => "",
        };
        let mut path = format!("{}{query}", operation.path);
        for (place, id) in self.own.iter().chain(&self.common) {
            let (before, _) = place.split_once('{').unwrap();
            path = path.replace(place, &format!("{before}{id}"));
        }
        assert!(!path.contains('{'), "{}: nothing was made to be visited at {path}", operation.id);
        let request = person.request(operation.method.clone(), &path);
        Answer::of(match operation.content.as_deref() {
            None => request,
            Some("application/json") => request.json(&body(&operation.id, person)),
            Some(kind @ "application/pdf") => request.header("Content-Type", kind).body(PDF),
            Some(kind) => request.header("Content-Type", kind).body("?"),
        })
        .await
    }
}

/// Little, but enough to come to the thing it is about.
fn body(operation: &str, person: &Person) -> Value {
    match operation {
        "login" => json!({ "email": person.email, "password": PASSWORD }),
        "change_password" => {
            json!({ "current_password": PASSWORD, "new_password": "another horse, another battery" })
        }
        "replace_address" => address(),
        // Nobody joins by these: the owner stays an owner, and is a member already.
        "update_company_member" => json!({ "role": "viewer" }),
        "create_company_invitation" => json!({ "email": person.email, "role": "viewer" }),
        // One that is for sale would then be in everyone's cart.
        "add_cart_item" => json!({ "sku": "NOT-FOR-SALE", "quantity": 1 }),
        "set_cart_item" => json!({ "quantity": 2 }),
        "discard_dead_letter" => json!({ "reason": "It was visited." }),
        // Of no service, for letters that there are would be other tests'.
        "redrive_dead_letters" => json!({ "service": "none" }),
        _ => json!({}),
    }
}

/// A company of this customer, and an invitation of it that is over: one that is open would have everybody wait who has it
/// sent again.
async fn company(customer: &Person) -> (String, String) {
    let new = json!({ "name": "Visited", "email": customer.email, "address": address() });
    let made = customer.post("/v1/companies", &new).await;
    assert_eq!(made.status, 201, "{made}");
    let invitations = format!("{}/invitations", made.header("location"));
    let guest = json!({ "email": format!("guest-of-{}", customer.email), "role": "viewer" });
    let invited = customer.post(&invitations, &guest).await;
    assert_eq!(invited.status, 201, "{invited}");
    let path = format!("{invitations}/{}", invited.text("/id"));
    assert_eq!(Answer::of(customer.request(Method::DELETE, &path)).await.status, 204);
    (made.text("/id"), invited.text("/id"))
}

/// Somebody new of this kind.
async fn somebody(shop: &Shop, visitor: Visitor) -> Person {
    match visitor {
        Staff => given(shop, Role::STAFF).await,
        Admin => given(shop, Role::ADMIN).await,
        Nobody | Customer | Other | KeyWithout | KeyWith => shop.shopper().await,
    }
}

/// Somebody new whom the operator gives this role.
pub(super) async fn given(shop: &Shop, role: Role) -> Person {
    let person = shop.shopper().await;
    let operator = Caller::new(connect(&shop.system.settings(OPERATOR), OPERATOR).await.unwrap());
    operator.call(&GrantRole { email: person.email.parse().unwrap(), role }).await.unwrap();
    sign_in(shop, &person).await
}

/// The same person in one more session, with the roles of this moment.
async fn sign_in(shop: &Shop, person: &Person) -> Person {
    let credentials = json!({ "email": person.email, "password": PASSWORD });
    let answer = shop.nobody().post("/v1/auth/login", &credentials).await;
    assert_eq!(answer.status, 200, "{answer}");
    Person { token: Some(answer.text("/access_token")), ..person.clone() }
}

/// A key with each scope that an operation needs, and one with all others.
async fn keys(customer: &Person, operations: &[Operation]) -> BTreeMap<(String, Visitor), Person> {
    let services = Topology::embedded().unwrap();
    let services = services.services().chain(["gateway"]);
    let all: BTreeSet<String> =
        services.flat_map(|service| ["read", "write"].map(|action| format!("{service}:{action}"))).collect();
    let mut keys = BTreeMap::new();
    for needed in operations.iter().map(|operation| &operation.scope).collect::<BTreeSet<_>>() {
        assert!(all.contains(needed), "{needed} is the scope of a service");
        // Who may write may read.
        let writing = needed.replace(":read", ":write");
        let others: Vec<String> =
            all.iter().filter(|scope| **scope != *needed && **scope != writing).cloned().collect();
        for (visitor, scopes) in [(KeyWith, vec![needed.clone()]), (KeyWithout, others)] {
            let token = Some(key(customer, &scopes).await.text("/key"));
            keys.insert((needed.clone(), visitor), Person { token, ..customer.clone() });
        }
    }
    keys
}

async fn key(customer: &Person, scopes: &[String]) -> Answer {
    let expires_at = (Utc::now() + Duration::days(1)).to_rfc3339();
    let made =
        customer.post("/v1/api-keys", &json!({ "name": "visits", "scopes": scopes, "expires_at": expires_at })).await;
    assert_eq!(made.status, 201, "{made}");
    made
}

fn address() -> Value {
    json!({ "name": "Ines Shopper", "line1": "Speicherstadt 4", "city": "Hamburg", "postal_code": "20457", "country": "DE" })
}
