//! What an entry says: ids and names that somebody can look up, each of a form and length of its own.

use std::net::IpAddr;

use nats::{
    contracts::{
        trail::{TrailBegan, TrailTarget},
        user::API_KEY_PREFIX,
    },
    telemetry::Trace,
    types::TrailEntryId,
};
use poem::{Request, http::header};

use crate::{credential::Credential, route::Operation};

/// The longest id, SKU or slug that is written down.
const LONGEST_NAME: usize = 64;
/// How long the tokens are that we hand out: 256 bits in base64url.
const TOKEN: usize = 43;
/// How many parameters of a path are.
const MOST_TARGETS: usize = 8;
/// How much of what a client says of itself is, in characters.
const LONGEST_USER_AGENT: usize = 200;

/// The beginning of what this request does.
pub(super) fn began(
    request: &Request,
    operation: &Operation,
    credential: Option<&Credential>,
    address: Option<IpAddr>,
) -> TrailBegan {
    let (id, trace, identity) = (TrailEntryId::new(), Trace::current(), credential.map(Credential::identity));
    let roles = identity.map(|identity| identity.roles.iter().map(ToString::to_string).collect());
    TrailBegan {
        id,
        // The same moment as in the id, by which the trail is kept.
        at: id.timestamp(),
        operation: operation.id.clone(),
        user_id: identity.map(|identity| identity.user),
        session_id: identity.and_then(|identity| identity.session),
        api_key_id: credential.and_then(Credential::api_key),
        roles: roles.unwrap_or_default(),
        targets: targets(&operation.path, request.uri().path()),
        address: address.map(|address| address.to_string()),
        user_agent: request.header(header::USER_AGENT).and_then(user_agent),
        request_id: trace.request_id().to_owned(),
        trace_id: trace.to_string(),
    }
}

/// What a `Location` names: its last part.
pub(super) fn created(location: &str) -> Option<String> {
    let last = location.rsplit('/').next().unwrap_or_default();
    // `/v1/users/me` and its like name nothing that could be looked up.
    (is_name(last) && last.contains('_')).then(|| last.to_owned())
}

/// The parameters of a path, by their names in the document's template.
fn targets(template: &str, path: &str) -> Vec<TrailTarget> {
    let named = template.split('/').zip(path.split('/')).filter_map(|(part, value)| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        // Whoever mistypes a path may have put a secret into it.
        is_name(value).then(|| TrailTarget { name: name.to_owned(), value: value.to_owned() })
    });
    named.take(MOST_TARGETS).collect()
}

/// Whether a text is of the form that ids, SKUs and slugs have, and cannot be an e-mail address, a token or an API key.
fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.len() != TOKEN
        && !text.starts_with(API_KEY_PREFIX)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

fn user_agent(text: &str) -> Option<String> {
    let shown: String = text.trim().chars().filter(|c| !c.is_control()).take(LONGEST_USER_AGENT).collect();
    (!shown.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(template: &str, path: &str) -> Vec<(String, String)> {
        targets(template, path).into_iter().map(|target| (target.name, target.value)).collect()
    }

    #[test]
    fn targets_are_the_parameters_of_the_path_by_name() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            named("/v1/payments/{id}/refunds/{refund_id}", "/v1/payments/pay_1/refunds/rfd_2"),
            [pair("id", "pay_1"), pair("refund_id", "rfd_2")]
        );
        assert_eq!(named("/v1/stock/{sku}", "/v1/stock/LMP-1.b"), [pair("sku", "LMP-1.b")]);
        assert_eq!(named("/v1/orders", "/v1/orders"), []);
    }

    #[test]
    fn what_is_not_of_the_form_of_an_id_is_not_written_down() {
        let (long, token, key) = ("x".repeat(65), "x".repeat(TOKEN), format!("{API_KEY_PREFIX}x"));
        for typed in ["ada@example.com", "ada%40example.com", "a b", "", "zoë", &long, &token, &key] {
            assert_eq!(named("/v1/users/{id}", &format!("/v1/users/{typed}")), [], "{typed}");
        }
    }

    #[test]
    fn what_was_created_is_named_by_its_location() {
        for (location, expected) in [
            ("/v1/orders/ord_01h455vb4pex5vsknk084sn02q", Some("ord_01h455vb4pex5vsknk084sn02q")),
            ("/v1/payments/pay_1/refunds/rfd_2", Some("rfd_2")),
            ("/v1/users/me", None),
            ("https://example.com/?token=a_b", None),
            ("", None),
        ] {
            assert_eq!(created(location).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn what_a_client_says_of_itself_is_cut_to_what_can_be_shown() {
        assert_eq!(user_agent(" curl/8\t\u{7f}").as_deref(), Some("curl/8"));
        assert_eq!(user_agent(" "), None);
        assert_eq!(user_agent(&"ä".repeat(500)).map(|text| text.chars().count()), Some(LONGEST_USER_AGENT));
    }
}
