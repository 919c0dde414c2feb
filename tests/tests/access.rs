//! Every operation of the API, visited as everyone: who is not let in is refused, and nobody meets what is another's.
//!
//! The operations are those of `openapi.json`; what each is to answer stands in [`EXPECTED`]. An operation is sent as little
//! as it takes, so whoever is let in may hear that it was too little.

mod permissions;
mod scene;

use std::collections::BTreeSet;

use Expected::{In, No};
use Visitor::{Admin, Customer, KeyWith, KeyWithout, Nobody, Other, Staff};
use reqwest::Method;
use scene::Scene;
use serde_json::Value;

use crate::shop::{Answer, Shop};

/// Who visits, in the order of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Visitor {
    Nobody,
    /// Whose things they are.
    Customer,
    /// Another customer.
    Other,
    Staff,
    Admin,
    /// The first customer's program, with a key that has every scope but the one that is needed.
    KeyWithout,
    /// The first customer's program, with a key that has the needed scope alone.
    KeyWith,
}

const VISITORS: [Visitor; 7] = [Nobody, Customer, Other, Staff, Admin, KeyWithout, KeyWith];

/// What becomes of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Let in: what was sent may be too little, or come too late; the thing it is about is found.
    In,
    /// Refused with this status.
    No(u16),
}

/// What becomes of each visitor.
type Gate = [Expected; 7];

/// No credential is looked at.
const PUBLIC: Gate = [In; 7];
/// Anyone; but a key says what it is for.
const ANYONE: Gate = [In, In, In, In, In, No(403), In];
/// Whoever is signed in, each to what is their own.
const SIGNED_IN: Gate = [No(401), In, In, In, In, No(403), In];
/// The same, and no program.
const IN_PERSON: Gate = [No(401), In, In, In, In, No(403), No(403)];
/// Whose it is; it is not found by staff either.
const OWNER: Gate = [No(401), In, No(404), No(404), No(404), No(403), In];
/// The same, and no program.
const OWNER_IN_PERSON: Gate = [No(401), In, No(404), No(404), No(404), No(403), No(403)];
/// Whose it is, and those who run the shop.
const OWNER_OR_STAFF: Gate = [No(401), In, No(404), In, In, No(403), In];
/// The same, and no program.
const OWNER_OR_STAFF_IN_PERSON: Gate = [No(401), In, No(404), In, In, No(403), No(403)];
/// The same as [`OWNER_OR_STAFF`]; and whoever has the link of a mail, so that nobody is told to sign in.
const OWNER_STAFF_OR_LINK: Gate = [No(404), In, No(404), In, In, No(403), In];
/// Those who run the shop. A customer's key may no more than the customer.
const STAFF: Gate = [No(401), No(403), No(403), In, In, No(403), No(403)];
/// Those who run the system.
const ADMIN: Gate = [No(401), No(403), No(403), No(403), In, No(403), No(403)];
/// Whoever can sign the message, which nobody here can.
const SIGNED: Gate = [No(401); 7];

/// Who is let in where.
const EXPECTED: &[(&str, Gate)] = &[
    // Accounts.
    ("get_signing_keys", PUBLIC),
    ("register", PUBLIC),
    ("login", PUBLIC),
    ("refresh", PUBLIC),
    ("start_google_sign_in", PUBLIC),
    ("finish_google_sign_in", PUBLIC),
    ("exchange_sign_in_code", PUBLIC),
    ("list_external_identities", IN_PERSON),
    // Nobody here has one.
    ("unlink_external_identity", [No(401), No(404), No(404), No(404), No(404), No(403), No(403)]),
    ("request_password_reset", PUBLIC),
    ("confirm_password_reset", PUBLIC),
    ("verify_email", PUBLIC),
    ("resend_verification", IN_PERSON),
    ("logout", IN_PERSON),
    ("list_sessions", IN_PERSON),
    ("end_other_sessions", IN_PERSON),
    ("end_session", OWNER_IN_PERSON),
    ("list_api_keys", IN_PERSON),
    ("create_api_key", IN_PERSON),
    ("get_api_key", OWNER_IN_PERSON),
    ("revoke_api_key", OWNER_IN_PERSON),
    // People.
    ("list_users", STAFF),
    ("get_user", STAFF),
    ("list_permissions", ADMIN),
    ("list_roles", ADMIN),
    ("create_role", ADMIN),
    ("get_role", ADMIN),
    ("update_role", ADMIN),
    ("delete_role", ADMIN),
    ("set_user_roles", ADMIN),
    ("get_me", SIGNED_IN),
    ("update_me", SIGNED_IN),
    ("list_my_activity", IN_PERSON),
    ("change_password", IN_PERSON),
    ("get_preferences", SIGNED_IN),
    ("update_preferences", SIGNED_IN),
    ("get_address_format", PUBLIC),
    ("list_addresses", SIGNED_IN),
    ("create_address", SIGNED_IN),
    ("get_address", OWNER),
    ("replace_address", OWNER),
    ("delete_address", OWNER),
    // Companies.
    ("create_company", SIGNED_IN),
    ("list_companies", SIGNED_IN),
    ("get_company", OWNER_OR_STAFF),
    ("update_company", OWNER),
    ("approve_company", STAFF),
    ("reject_company", STAFF),
    ("suspend_company", STAFF),
    ("get_company_configuration", OWNER_OR_STAFF),
    ("update_company_configuration", OWNER),
    ("list_company_members", OWNER_OR_STAFF_IN_PERSON),
    ("update_company_member", OWNER_IN_PERSON),
    ("remove_company_member", OWNER_IN_PERSON),
    ("list_company_invitations", OWNER_IN_PERSON),
    ("create_company_invitation", OWNER_IN_PERSON),
    ("resend_company_invitation", OWNER_IN_PERSON),
    ("revoke_company_invitation", OWNER_IN_PERSON),
    ("accept_company_invitation", IN_PERSON),
    ("list_document_types", SIGNED_IN),
    ("get_document_type", SIGNED_IN),
    ("create_document_type", STAFF),
    ("update_document_type", STAFF),
    ("delete_document_type", STAFF),
    ("list_company_documents", OWNER_OR_STAFF),
    ("upload_company_document", OWNER),
    ("get_company_document", OWNER_OR_STAFF),
    ("download_company_document", OWNER_OR_STAFF),
    ("delete_company_document", OWNER),
    ("accept_company_document", STAFF),
    ("reject_company_document", STAFF),
    // The catalogue.
    ("list_categories", ANYONE),
    ("get_category", ANYONE),
    ("create_category", STAFF),
    ("list_products", ANYONE),
    ("get_product", ANYONE),
    ("create_product", STAFF),
    ("update_product", STAFF),
    ("delete_product", STAFF),
    ("get_stock", ANYONE),
    ("set_stock", STAFF),
    ("list_movements", STAFF),
    ("record_movement", STAFF),
    ("list_shipping_rates", PUBLIC),
    // Carts: each has their own. Guests are let in by the token of theirs, which nobody has here; see below.
    ("create_cart", PUBLIC),
    ("get_cart", SIGNED_IN),
    ("add_cart_item", SIGNED_IN),
    ("set_cart_item", OWNER),
    ("remove_cart_item", OWNER),
    // Orders.
    ("place_order", SIGNED_IN),
    ("list_orders", SIGNED_IN),
    ("get_order", OWNER_OR_STAFF),
    ("get_order_history", OWNER_OR_STAFF),
    ("cancel_order", OWNER_OR_STAFF),
    ("complete_order", STAFF),
    // Payments.
    ("list_order_payments", OWNER_OR_STAFF),
    ("get_payment", OWNER_OR_STAFF),
    ("list_refunds", OWNER_OR_STAFF),
    ("get_refund", OWNER_OR_STAFF),
    ("create_refund", STAFF),
    ("receive_sandbox_webhook", SIGNED),
    // Invoices.
    ("upload_invoice", SIGNED_IN),
    ("list_invoices", SIGNED_IN),
    ("get_invoice", OWNER_OR_STAFF),
    ("get_order_invoice", OWNER_OR_STAFF),
    ("get_invoice_document", OWNER_STAFF_OR_LINK),
    // Notifications.
    ("list_notifications", SIGNED_IN),
    ("retry_notification", STAFF),
    ("stream_notifications", SIGNED_IN),
    // Let in, they hear that they open no WebSocket.
    ("open_notification_socket", SIGNED_IN),
    ("create_notification_ticket", SIGNED_IN),
    // Running the system.
    ("list_audit_trail", ADMIN),
    ("list_dead_letters", ADMIN),
    ("get_dead_letter", ADMIN),
    ("redrive_dead_letter", ADMIN),
    ("redrive_dead_letters", ADMIN),
    ("discard_dead_letter", ADMIN),
];

/// An operation of the document.
struct Operation {
    id: String,
    method: Method,
    path: String,
    /// What a key needs for it, if it can be done with one.
    scope: String,
    /// What kind of body it takes.
    content: Option<String>,
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(include_str!("../../openapi/openapi.json")).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let text = |name: &str| operation[name].as_str().unwrap_or_else(|| panic!("{method} {path}: {name}"));
            let content = operation["requestBody"]["content"].as_object().and_then(|content| content.keys().next());
            operations.push(Operation {
                id: text("operationId").to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                scope: operation["x-argosy-scope"].as_str().map_or_else(
                    || format!("{}:{}", text("x-argosy-service"), if method == "get" { "read" } else { "write" }),
                    str::to_owned,
                ),
                content: content.cloned(),
            });
        }
    }
    operations
}

#[test]
fn every_operation_has_its_expectation_and_every_expectation_its_operation() {
    let operations = operations();
    let there: BTreeSet<&str> = operations.iter().map(|operation| operation.id.as_str()).collect();
    let expected: BTreeSet<&str> = EXPECTED.iter().map(|(id, _)| *id).collect();

    let without: Vec<_> = there.difference(&expected).collect();
    assert!(without.is_empty(), "say in EXPECTED who is let in: {without:?}");
    let gone: Vec<_> = expected.difference(&there).collect();
    assert!(gone.is_empty(), "no operation any more, take it out of EXPECTED: {gone:?}");
    assert_eq!(expected.len(), EXPECTED.len(), "an operation stands in EXPECTED once");
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_let_in_where_they_may_be_and_refused_everywhere_else() {
    let operations = operations();
    let mut scene = Scene::set(&operations).await;
    let mut faults = Vec::new();
    let mut shown = BTreeSet::new();
    for operation in &operations {
        let Some((_, gate)) = EXPECTED.iter().find(|(id, _)| *id == operation.id) else {
            faults.push(format!("{}: not in EXPECTED", operation.id));
            continue;
        };
        for (visitor, expected) in VISITORS.into_iter().zip(*gate) {
            let person = scene.visitor(visitor, operation).await;
            let answer = scene.visit(operation, &person).await;
            if !is_met(expected, operation, &answer) {
                faults.push(format!("{} as {visitor:?}: expected {expected:?}, was {answer}", operation.id));
            }
            if answer.status < 300 {
                let text = String::from_utf8_lossy(&answer.bytes);
                let own = scene.own.iter().filter(|(_, id)| text.contains(id.as_str())).map(|(place, _)| *place);
                match visitor {
                    Customer => shown.extend(own),
                    // What they tried to reach is what they have done.
                    Other if operation.id == "list_my_activity" => {}
                    Other => faults.extend(own.map(|place| format!("{} shows another's {place}", operation.id))),
                    Nobody | Staff | Admin | KeyWithout | KeyWith => {}
                }
            }
            // Only now: what was refused before must have left the thing where it was.
            if expected == In {
                scene.put_back(&operation.id).await;
            }
        }
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // What the owner is shown nowhere, another's answers would prove nothing about.
    assert_eq!(shown, scene.own.keys().copied().collect(), "the owner is shown all that is theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_let_in_to_the_cart_whose_token_it_has() {
    let nobody = Shop::shared().await.nobody();
    let token = nobody.post("/v1/carts", &Value::Null).await.text("/token");
    let with = |token: String| Answer::of(nobody.request(Method::GET, "/v1/cart").header("Cart-Token", token));

    let own = with(token.clone()).await;
    assert_eq!(own.status, 200, "{own}");
    with(token.chars().rev().collect()).await.problem("not_found");
}

/// Whether an answer is what was expected.
fn is_met(expected: Expected, operation: &Operation, answer: &Answer) -> bool {
    let code = match (expected, answer.status) {
        // A letter that there is would be another test's.
        // What is not set up here is nobody's.
        (In, 404) => return operation.id.ends_with("_dead_letter") || answer.at("/code") == "not_configured",
        (In, status) => return status < 500 && !matches!(status, 401 | 403 | 429),
        (No(401), 401) => "unauthenticated",
        (No(403), 403) => "forbidden",
        (No(404), 404) => "not_found",
        (No(_), _) => return false,
    };
    answer.at("/code") == code
}
