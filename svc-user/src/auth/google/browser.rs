//! The browser that signs in: known by a secret in a cookie, of which everything else is made.
//!
//! `state`, `nonce` and the PKCE verifier are HMAC-SHA256 of their own names under the secret, and so is the hash by which
//! the database knows the browser. So nothing of them is kept, one tells nothing of another, and a `state` that comes back
//! from the provider is right exactly when it is this browser's.
//!
//! Trap: the cookie's prefix `__Host-` makes browsers take it from a secure origin only, and send it to that host only.
//! Chromium and Firefox take `http://localhost` and `http://127.0.0.1` for secure; on any other plain HTTP nobody signs in
//! this way.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use nats::types::Secret;
use openidconnect::{CsrfToken, Nonce, PkceCodeVerifier};
use poem::{FromRequest, Request, RequestBody};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::token::{Hash, Token};

/// The cookie's name; the gateway passes no other one on.
const COOKIE: &str = "__Host-argosy-sign-in";
/// How long it is kept: as long as one may be away at the provider, and a minute to exchange the code.
const MAX_AGE_S: u32 = super::start::LIFETIME_S + super::callback::CODE_LIFETIME_S;

// Not `Debug`: whoever has the secret is the browser.
/// A browser that signs in.
#[derive(Clone, Copy)]
pub(super) struct Browser(Token);

impl Browser {
    /// One that is new here.
    pub(super) fn new() -> Self {
        Self(Token::random())
    }

    /// How the database knows it.
    pub(super) fn hash(&self) -> Hash {
        self.derived("browser")
    }

    /// What the provider is to send back with it.
    pub(super) fn state(&self) -> CsrfToken {
        CsrfToken::new(self.text("state"))
    }

    /// Whether that came back; found out in a time that does not tell how much of it is right.
    pub(super) fn has_state(&self, state: &str) -> bool {
        self.state().secret().as_bytes().ct_eq(state.as_bytes()).into()
    }

    /// What the ID token is to say.
    pub(super) fn nonce(&self) -> Nonce {
        Nonce::new(self.text("nonce"))
    }

    /// What only whoever asked for the provider's code can show (RFC 7636).
    pub(super) fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.text("pkce"))
    }

    /// `Set-Cookie` that has the browser keep the secret.
    pub(super) fn cookie(&self) -> String {
        format!("{COOKIE}={}; Max-Age={MAX_AGE_S}; {ATTRIBUTES}", self.0.text().expose())
    }

    fn derived(&self, purpose: &str) -> Hash {
        let mut block = [0_u8; 64];
        block.iter_mut().zip(self.0.bytes()).for_each(|(place, byte)| *place = *byte);
        let mut mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new((&block).into());
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    fn text(&self, purpose: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.derived(purpose))
    }
}

/// `Lax`: the provider's redirect is a navigation from another site, and comes with the cookie all the same.
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

/// `Set-Cookie` that has the browser forget the secret.
pub(super) fn forget() -> String {
    format!("{COOKIE}=; Max-Age=0; {ATTRIBUTES}")
}

/// The browser that a request is from, if it began to sign in.
pub(super) struct Known(pub(super) Option<Browser>);

impl Known {
    /// From the values of `Cookie`. Two cookies of the name are none: one of them is not ours.
    fn of<'a>(cookies: impl Iterator<Item = &'a str>) -> Self {
        let pairs = cookies.flat_map(|values| values.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut ours = pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value);
        let value = ours.next().filter(|_| ours.next().is_none());
        Self(value.and_then(|value| Token::parse(&Secret::new(value.to_owned()))).map(Browser))
    }
}

impl<'a> FromRequest<'a> for Known {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let cookies = request.headers().get_all("Cookie").iter();
        Ok(Self::of(cookies.filter_map(|value| value.to_str().ok())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn known(cookies: &[&str]) -> Option<Browser> {
        Known::of(cookies.iter().copied()).0
    }

    #[test]
    fn a_browser_is_known_by_its_cookie() {
        let browser = Browser::new();
        let set = browser.cookie();
        assert!(set.ends_with("; Max-Age=660; Path=/; Secure; HttpOnly; SameSite=Lax"), "{set}");
        let pair = set.split(';').next().unwrap();
        for cookies in [vec![pair], vec![&format!("a=b; {pair}; c=d")], vec!["a=b", pair]] {
            assert_eq!(known(&cookies).unwrap().hash(), browser.hash(), "{cookies:?}");
        }
        let (other, cut) = (Browser::new().cookie(), &pair[..pair.len() - 1]);
        let other = other.split(';').next().unwrap();
        for cookies in
            [vec![], vec!["a=b"], vec![cut], vec![pair, other], vec![pair, pair], vec!["__Host-argosy-sign-in="]]
        {
            assert!(known(&cookies).is_none(), "{cookies:?}");
        }
        assert!(forget().contains("=; Max-Age=0; "), "{}", forget());
    }

    #[test]
    fn nothing_that_is_told_tells_anything_else() {
        let browser = Browser::new();
        let again = known(&[browser.cookie().split(';').next().unwrap()]).unwrap();
        let told = |browser: &Browser| {
            let (state, nonce) = (browser.state(), browser.nonce());
            let hash = URL_SAFE_NO_PAD.encode(browser.hash());
            [state.secret().clone(), nonce.secret().clone(), browser.verifier().secret().clone(), hash]
        };
        assert_eq!(told(&browser), told(&again));
        let all: BTreeSet<String> = told(&browser).into_iter().chain(told(&Browser::new())).collect();
        assert_eq!(all.len(), 8, "each is of its own");
        assert!(all.iter().all(|text| text.len() == 43), "a verifier has 43 to 128 characters");
    }

    #[test]
    fn only_the_own_state_is_right() {
        let browser = Browser::new();
        let state = browser.state().secret().clone();
        assert!(browser.has_state(&state));
        for wrong in
            ["", "x", &state[1..], &format!("{state}x"), browser.nonce().secret(), Browser::new().state().secret()]
        {
            assert!(!browser.has_state(wrong), "{wrong}");
        }
    }
}
