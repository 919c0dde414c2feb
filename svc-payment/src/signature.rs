//! Signatures of webhooks, as Standard Webhooks has them: HMAC-SHA256 over `id.timestamp.body`, in the headers
//! `webhook-id`, `webhook-timestamp` and `webhook-signature`.
//!
//! The time is signed with the body, so that what somebody has recorded cannot be played back later. Several signatures, and
//! several secrets, are how a secret is changed without a gap.
//!
//! Trap: the signature is over the bytes that came. A body that was parsed and written again is another one.

use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use nats::types::Secret;
use sha2::Sha256;

/// The header with the message's own id, the same each time it is sent.
pub const ID: &str = "webhook-id";
/// The header with the time it was sent at, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures, separated by blanks.
pub const SIGNATURE: &str = "webhook-signature";
/// How far the time may be from ours, in seconds.
pub const TOLERANCE: i64 = 300;
const VERSION: &str = "v1,";
const BLOCK: usize = 64;

/// A secret that webhooks are signed with: `whsec_` and 24 to 64 bytes in base64.
#[derive(Debug, Clone)]
pub struct SigningSecret(Secret<[u8; BLOCK]>);

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    /// The time cannot be read, or is too far from ours.
    Stale,
    /// No signature is of one of our secrets over this id, time and body.
    Forged,
}

impl FromStr for SigningSecret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = text.strip_prefix("whsec_").and_then(|rest| STANDARD.decode(rest).ok());
        let bytes = bytes.filter(|bytes| (24..=BLOCK).contains(&bytes.len()));
        let bytes = bytes.ok_or("a webhook secret is `whsec_` and 24 to 64 bytes in base64")?;
        // HMAC itself fills a key that is shorter than a block with zeros.
        let mut block = [0; BLOCK];
        block.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        Ok(Self(Secret::new(block)))
    }
}

impl SigningSecret {
    /// The signature of a message sent at `timestamp`, as it stands in the header.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signature = self.over(id, &timestamp.to_string(), body).finalize().into_bytes();
        format!("{VERSION}{}", STANDARD.encode(signature))
    }

    fn over(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new(self.0.expose().into());
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

/// Whether one of the `signatures` is of one of our `secrets`, and its time not too far from `now` (seconds since 1970).
///
/// # Errors
/// See [`Unsigned`].
pub fn verify(
    secrets: &[SigningSecret],
    (id, timestamp, signatures): (&str, &str, &str),
    body: &[u8],
    now: i64,
) -> Result<(), Unsigned> {
    let sent: i64 = timestamp.parse().map_err(|_| Unsigned::Stale)?;
    if now.abs_diff(sent) > TOLERANCE.unsigned_abs() {
        return Err(Unsigned::Stale);
    }
    let signatures = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix(VERSION)?).ok());
    for signature in signatures {
        // Compares in constant time.
        if secrets.iter().any(|secret| secret.over(id, timestamp, body).verify_slice(&signature).is_ok()) {
            return Ok(());
        }
    }
    Err(Unsigned::Forged)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_614_265_330;

    #[test]
    fn the_standards_own_example_holds() {
        let secret: SigningSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(secret.sign(id, NOW, body), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn only_fresh_and_genuine_messages_are_believed() {
        let [old, new, other] = [1, 2, 3].map(|byte| secret([byte; 32]));
        let signed = new.sign("msg_1", NOW, b"{}");
        let ours = [old.clone(), new];
        let check = |signatures: &str, id: &str, timestamp: &str, body: &[u8], now: i64| {
            verify(&ours, (id, timestamp, signatures), body, now)
        };
        let at = NOW.to_string();
        assert_eq!(check(&signed, "msg_1", &at, b"{}", NOW), Ok(()));
        let both = format!("v1a,AAAA {} {signed}", other.sign("msg_1", NOW, b"{}"));
        assert_eq!(check(&both, "msg_1", &at, b"{}", NOW + TOLERANCE), Ok(()), "one of several is enough");
        for (signatures, id, timestamp, body, now, why) in [
            (signed.as_str(), "msg_2", at.as_str(), b"{}".as_slice(), NOW, Unsigned::Forged),
            (&signed, "msg_1", &at, b"{ }", NOW, Unsigned::Forged),
            (&signed, "msg_1", &(NOW + 1).to_string(), b"{}", NOW, Unsigned::Forged),
            (&other.sign("msg_1", NOW, b"{}"), "msg_1", &at, b"{}", NOW, Unsigned::Forged),
            ("", "msg_1", &at, b"{}", NOW, Unsigned::Forged),
            ("v1,", "msg_1", &at, b"{}", NOW, Unsigned::Forged),
            ("v1,!", "msg_1", &at, b"{}", NOW, Unsigned::Forged),
            (&signed, "msg_1", &at, b"{}", NOW + TOLERANCE + 1, Unsigned::Stale),
            (&signed, "msg_1", &at, b"{}", NOW - TOLERANCE - 1, Unsigned::Stale),
            (&signed, "msg_1", "", b"{}", NOW, Unsigned::Stale),
            (&signed, "msg_1", "now", b"{}", NOW, Unsigned::Stale),
            (&signed, "msg_1", &i64::MIN.to_string(), b"{}", NOW, Unsigned::Stale),
        ] {
            assert_eq!(check(signatures, id, timestamp, body, now), Err(why), "{signatures} {id} {timestamp} {now}");
        }
    }

    #[test]
    fn secrets_have_a_form_and_are_not_shown() {
        for text in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!"] {
            assert!(text.parse::<SigningSecret>().is_err(), "{text}");
        }
        assert_eq!(format!("{:?}", secret([7; 24])), "SigningSecret(***)");
    }

    proptest! {
        #[test]
        fn what_was_signed_is_believed_and_nothing_else(
            id in "[a-z0-9]{1,12}", body: Vec<u8>, key in prop::array::uniform32(any::<u8>()), late in -TOLERANCE..=TOLERANCE,
            flipped: prop::sample::Index,
        ) {
            let secret = secret(key);
            let (signature, at) = (secret.sign(&id, NOW, &body), NOW.to_string());
            let ours = [secret];
            prop_assert_eq!(verify(&ours, (&id, &at, &signature), &body, NOW + late), Ok(()));
            if !body.is_empty() {
                let mut other = body.clone();
                let place = flipped.index(other.len());
                other[place] ^= 1;
                prop_assert_eq!(verify(&ours, (&id, &at, &signature), &other, NOW), Err(Unsigned::Forged));
            }
        }
    }

    fn secret<const N: usize>(bytes: [u8; N]) -> SigningSecret {
        format!("whsec_{}", STANDARD.encode(bytes)).parse().unwrap()
    }
}
