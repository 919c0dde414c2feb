//! Passwords: what is acceptable, and their hashes (Argon2id, RFC 9106) with OWASP's parameters.
//!
//! A hash costs 19 MiB and tens of milliseconds of a core, by design. It runs off the async threads, on as many cores as
//! there are, and the queue before them is bounded: past it the caller is told to come back.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `PASSWORD_WORKERS` | hashes at once | the machine's cores |
//! | `PASSWORD_QUEUE` | hashes that may wait for that | 64 |
//!
//! Trap: an unknown account must cost what a known one costs, else the time tells who has an account. That is what
//! `decoy` is for.

use std::{num::NonZeroU16, sync::Arc};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{Error as HashError, PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};
use nats::{
    config::Settings,
    problem::{Code, Problem},
    service::StartError,
    types::Secret,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use tokio::sync::Semaphore;

/// How many characters (Unicode scalar values) a password has.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=200;
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Reads a new password; it is taken as it is, blanks and all.
pub(crate) fn acceptable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    let password = Secret::<String>::deserialize(deserializer)?;
    if LENGTH.contains(&password.expose().chars().count()) {
        Ok(password)
    } else {
        Err(D::Error::custom(format!("a password has {} to {} characters", LENGTH.start(), LENGTH.end())))
    }
}

/// Makes and verifies hashes; cheap to clone.
#[derive(Clone)]
pub(crate) struct Hasher {
    argon2: Argon2<'static>,
    /// Whoever works or waits has a place.
    places: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    /// The hash of nobody's password.
    decoy: Arc<str>,
}

impl Hasher {
    /// As the settings say. Hashes once, which takes a moment.
    pub(crate) fn new(settings: &Settings) -> Result<Self, StartError> {
        let cores = std::thread::available_parallelism().ok().and_then(|cores| NonZeroU16::try_from(cores).ok());
        let workers = usize::from(settings.parse("PASSWORD_WORKERS", cores.unwrap_or(NonZeroU16::MIN))?.get());
        let queue = usize::from(settings.parse("PASSWORD_QUEUE", 64_u16)?);
        let broken =
            |error: &dyn std::fmt::Display| StartError::Other(format!("hashing passwords does not work: {error}"));
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| broken(&error))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = phc(&argon2, &rand::random::<[u8; 16]>()).map_err(|error| broken(&error))?.into();
        Ok(Self {
            argon2,
            places: Arc::new(Semaphore::new(workers + queue)),
            workers: Arc::new(Semaphore::new(workers)),
            decoy,
        })
    }

    /// The hash of a new password, in PHC form.
    pub(crate) async fn hash(&self, password: Secret<String>) -> Result<String, Problem> {
        self.work(move |argon2| phc(argon2, password.expose().as_bytes())).await
    }

    /// Whether the password is the one of this hash. Without a hash it is not, and that takes as long to find out.
    pub(crate) async fn verify(&self, password: Secret<String>, hash: Option<String>) -> Result<bool, Problem> {
        let decoy = Arc::clone(&self.decoy);
        self.work(move |argon2| {
            let known = hash.is_some();
            let hash = PasswordHash::new(hash.as_deref().unwrap_or(&decoy))?;
            match argon2.verify_password(password.expose().as_bytes(), &hash) {
                Ok(()) => Ok(known),
                Err(HashError::Password) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_full| {
            tracing::warn!("shedding load: the queue for password hashes is full");
            Problem::new(Code::Unavailable, "Too many people are signing in at this moment. Nothing was done.")
        })?;
        let worker = Arc::clone(&self.workers).acquire_owned().await.map_err(Problem::internal)?;
        let argon2 = self.argon2.clone();
        let working = tokio::task::spawn_blocking(move || {
            let outcome = work(&argon2);
            // Here, not in the caller: it may have gone, and the core is busy all the same.
            drop((worker, place));
            outcome
        });
        working.await.map_err(Problem::internal)?.map_err(|error| Problem::internal(error.to_string()))
    }
}

fn phc(argon2: &Argon2<'_>, password: &[u8]) -> Result<String, HashError> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>())?;
    Ok(argon2.hash_password(password, &salt)?.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn read(text: &str) -> Result<Secret<String>, serde_json::Error> {
        acceptable(&serde_json::Value::from(text))
    }

    #[test]
    fn characters_are_counted_and_kept() {
        for good in ["12345678", "ぱすわーどです!", "  spaces  ", &"x".repeat(200), &"😀".repeat(200)] {
            assert_eq!(read(good).unwrap().expose(), good);
        }
        for bad in ["", "1234567", "😀😀😀", &"x".repeat(201)] {
            let error = read(bad).unwrap_err().to_string();
            assert_eq!(error, "a password has 8 to 200 characters");
        }
    }

    #[tokio::test]
    async fn a_hash_knows_its_password_and_no_other() {
        let hasher = Hasher::new(&Settings::default()).unwrap();
        let hash = hasher.hash(secret(" correct horse ")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hasher.hash(secret(" correct horse ")).await.unwrap(), hash, "salted");
        assert!(hasher.verify(secret(" correct horse "), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify(secret("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify(secret(" correct horse "), None).await.unwrap());
        let broken = hasher.verify(secret("x"), Some("broken".to_owned())).await.unwrap_err();
        assert_eq!(broken.code(), Code::Internal);
    }

    #[tokio::test]
    async fn past_the_queue_the_caller_is_told_at_once() {
        let settings = Settings::default().with("PASSWORD_WORKERS", "1").with("PASSWORD_QUEUE", "1");
        let hasher = Hasher::new(&settings).unwrap();
        let (first, second, third) =
            tokio::join!(hasher.hash(secret("one")), hasher.hash(secret("two")), hasher.hash(secret("three")));
        assert!(first.is_ok() && second.is_ok(), "one works, one waits");
        assert_eq!(third.unwrap_err().code(), Code::Unavailable);
        assert!(hasher.hash(secret("four")).await.is_ok(), "places are given back");
    }

    #[test]
    fn settings_are_sane() {
        for (name, value) in [("PASSWORD_WORKERS", "0"), ("PASSWORD_WORKERS", "many"), ("PASSWORD_QUEUE", "-1")] {
            assert!(Hasher::new(&Settings::default().with(name, value)).is_err(), "{name}={value}");
        }
    }
}
