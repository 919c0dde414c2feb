//! Versions of what several people may edit at once, as `ETag` and `If-Match` (RFC 9110).

use nats::problem::{Code, Problem};

/// The `ETag` of a version.
pub(crate) fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Lets an edit of this version through if the `If-Match` header, where there is one, names it.
///
/// # Errors
/// `precondition_failed`.
pub(crate) fn check(if_match: Option<&str>, version: i64) -> Result<(), Problem> {
    let known = etag(version);
    let names_it = |tags: &str| tags.split(',').map(str::trim).any(|tag| tag == "*" || tag == known);
    if if_match.is_none_or(names_it) {
        return Ok(());
    }
    let detail = "It was changed since you read it; read it again and repeat the change.";
    Err(Problem::new(Code::PreconditionFailed, detail))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn an_edit_goes_through_when_its_version_is_named_or_none_is() {
        for (if_match, passes) in [
            (None, true),
            (Some("*"), true),
            (Some("\"3\""), true),
            (Some("\"2\", \"3\""), true),
            (Some("\"2\""), false),
            (Some("W/\"3\""), false),
            (Some("3"), false),
            (Some(""), false),
        ] {
            assert_eq!(check(if_match, 3).is_ok(), passes, "{if_match:?}");
        }
    }
}
