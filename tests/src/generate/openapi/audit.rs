//! Which operations are written into the audit trail besides those that change something, and which of these are not.

use serde_json::{Map, Value};

/// What changes nothing of worth, and would be most of the trail: what a visitor puts into a cart, which is looked at again
/// when it is ordered; and the next tokens of a session that stands in the trail since it was opened, each ten minutes of each
/// client. One whose refresh token comes a second time ends, and says why.
const NOT_WORTH_IT: [&str; 5] = ["create_cart", "add_cart_item", "set_cart_item", "remove_cart_item", "refresh"];
/// What changes an account although it is a GET: a browser comes back from the provider.
const SIGNS_IN: [&str; 1] = ["finish_google_sign_in"];
/// Who reads with these permissions sees other people, or what they did.
const SHOWS_PEOPLE: [&str; 4] = ["audit:read", "companies:read", "operations:read", "users:read"];

/// What `x-argosy-audit` says of an operation; `None` where it goes by the method.
pub(super) fn of(operation: &Map<String, Value>, method: &str) -> Option<&'static str> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
    let needed = [text("x-argosy-permission"), text("x-argosy-permission-unless-own")];
    let shows_people = needed.iter().any(|permission| SHOWS_PEOPLE.contains(permission));
    if NOT_WORTH_IT.contains(&text("operationId")) {
        Some("none")
    } else if SIGNS_IN.contains(&text("operationId")) || (method == "get" && shows_people) {
        Some("always")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(id: &str, permission: &str, method: &str) -> Option<&'static str> {
        let mut operation = Map::new();
        operation.insert("operationId".to_owned(), json!(id));
        operation.insert("x-argosy-permission".to_owned(), json!(permission));
        of(&operation, method)
    }

    #[test]
    fn what_shows_people_is_written_down_and_what_is_not_worth_it_is_not() {
        for (id, permission, method, expected) in [
            ("list_users", "users:read", "get", Some("always")),
            ("list_audit_trail", "audit:read", "get", Some("always")),
            ("list_movements", "stock:read", "get", None),
            ("finish_google_sign_in", "", "get", Some("always")),
            ("set_cart_item", "", "patch", Some("none")),
            ("place_order", "", "post", None),
        ] {
            assert_eq!(said(id, permission, method), expected, "{id}");
        }
    }
}
