//! Tokens that we hand out and keep no copy of: 256 random bits, base64url, of which only the SHA-256 is kept.
//!
//! A plain hash is enough here, unlike for passwords: nobody guesses 256 bits.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nats::types::Secret;
use sha2::{Digest, Sha256};

/// Bytes of a token before it is base64url.
pub(crate) const LENGTH: usize = 32;

/// What is kept of a token.
pub(crate) type Hash = [u8; 32];

// Not `Debug`: whoever has it can present it.
/// A token, new or presented.
#[derive(Clone, Copy)]
pub(crate) struct Token([u8; LENGTH]);

impl Token {
    /// A new one.
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// The one with these bytes.
    pub(crate) const fn of(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    /// The one that was presented; `None` when it cannot be one of ours.
    pub(crate) fn parse(text: &Secret<String>) -> Option<Self> {
        let mut bytes = [0; LENGTH];
        let length = URL_SAFE_NO_PAD.decode_slice(text.expose(), &mut bytes).ok()?;
        (length == LENGTH).then_some(Self(bytes))
    }

    pub(crate) const fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> Hash {
        Sha256::digest(self.0).into()
    }

    /// As it travels.
    pub(crate) fn text(&self) -> Secret<String> {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_of_a_token_is_looked_up() {
        let token = Token::parse(&Secret::new(URL_SAFE_NO_PAD.encode([7; LENGTH]))).unwrap();
        assert_eq!(token.hash().as_slice(), Sha256::digest([7; LENGTH]).to_vec());
        for text in ["", "x", "not base64url!", &"A".repeat(42), &"A".repeat(44), &"A".repeat(100_000), "eyJ.eyJ.sig"] {
            assert!(Token::parse(&Secret::new(text.to_owned())).is_none(), "{text:.20}");
        }
    }

    #[test]
    fn a_token_comes_back_as_it_went() {
        let token = Token::random();
        assert_eq!(Token::parse(&token.text()).unwrap().bytes(), token.bytes());
        assert_ne!(Token::random().bytes(), token.bytes());
    }
}
