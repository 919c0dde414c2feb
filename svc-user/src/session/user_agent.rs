//! What a client says of itself, for the person who looks through their sessions.

use poem::{FromRequest, Request, RequestBody};

/// The longest that is kept, in characters.
const LONGEST: usize = 200;

/// The header `User-Agent` (RFC 9110, 10.1.5), cut to what is worth showing. Nothing is decided by it: anyone can say anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UserAgent(Option<String>);

impl UserAgent {
    fn of(text: &str) -> Self {
        let shown: String = text.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        Self(Some(shown).filter(|shown| !shown.is_empty()))
    }

    pub(crate) fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<'a> FromRequest<'a> for UserAgent {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(request.header("User-Agent").map(Self::of).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_can_be_shown() {
        assert_eq!(UserAgent::of(" Argosy/1.0 (Linux) ").as_deref(), Some("Argosy/1.0 (Linux)"));
        assert_eq!(UserAgent::of("a\tb\u{7f}").as_deref(), Some("ab"));
        assert_eq!(UserAgent::of(" ").as_deref(), None);
        assert_eq!(UserAgent::of(&"ä".repeat(500)).as_deref().map(|text| text.chars().count()), Some(200));
    }
}
