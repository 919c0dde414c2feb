//! The OpenID provider (oidc-provider, from `.argosy/openid`), and the browser of whoever signs in there.
//!
//! The provider is a real one: it checks client, redirect URI, PKCE and codes, and signs ID tokens. Who signs in is what the
//! test says. What it would never do, a forged token in its answer, it does on request: see `tests/setup/openid/provider.mjs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use tokio::sync::OnceCell;

use crate::error::{Doing, with_causes};
use crate::process::Process;
use crate::scratch::Scratch;
use crate::{Result, StackError, ports, tools};

const BOUND: Duration = Duration::from_secs(30);
/// Argosy, as the provider knows it.
const CLIENT: (&str, &str) = ("argosy", "the-secret-of-argosy-and-the-provider");
/// Where a service that has no `PUBLIC_URL` wants people to be sent back to.
const REDIRECT_URI: &str = "http://127.0.0.1:8080/v1/auth/google/callback";
/// A browser that is sent on more often than this goes in circles.
const MOST_REDIRECTS: usize = 10;

static SHARED: OnceCell<(OpenIdProvider, Scratch)> = OnceCell::const_new();

/// A running provider; dropping it stops it.
#[derive(Debug)]
pub struct OpenIdProvider {
    process: Process,
    port: u16,
}

/// What the provider says of whoever signs in, claim by claim: `sub`, `email`, `email_verified` …
pub type Claims<'a> = [(&'a str, &'a str)];

/// The provider of a program's tests: each signs in people of its own.
#[expect(clippy::panic, reason = "a test that cannot set up its world has failed")]
pub async fn shared() -> &'static OpenIdProvider {
    let start = || async {
        let scratch = Scratch::new("openid").unwrap_or_else(|error| panic!("{error}"));
        let provider = OpenIdProvider::start(scratch.path(), REDIRECT_URI).await;
        (provider.unwrap_or_else(|error| panic!("{error}")), scratch)
    };
    &SHARED.get_or_init(start).await.0
}

impl OpenIdProvider {
    /// Starts it on a free port, for a client that people come back to at this URI. The log is in `dir`.
    pub async fn start(dir: &Path, redirect_uri: &str) -> Result<Self> {
        let node = tools::on_path("node", "nodejs")?;
        let program = tools::openid_provider()?;
        ports::on_port("the OpenID provider", None, async |port| {
            let mut command = Command::new(&node);
            command.arg(&program).args([&port.to_string(), CLIENT.0, CLIENT.1, redirect_uri]);
            let process = Process::spawn("the OpenID provider", command, &dir.join("openid.log"))?;
            let provider = Self { process, port };
            provider.until_ready().await?;
            Ok(provider)
        })
        .await
    }

    /// Starts it again on the same port, after [`Process::kill`]: it knows nobody, and signs with another key.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.respawn()?;
        self.until_ready().await
    }

    async fn until_ready(&self) -> Result<()> {
        let metadata = format!("{}/.well-known/openid-configuration", self.issuer());
        let ready = self.process.until_ready(BOUND, async || {
            let answer = reqwest::get(&metadata).await.map_err(|error| with_causes(&error))?;
            Ok::<_, String>(answer.status().is_success().then_some(()))
        });
        ready.await
    }

    /// Its name, and where its metadata begin.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What svc-user has to know of it.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("GOOGLE_ISSUER", self.issuer()),
            ("GOOGLE_CLIENT_ID", CLIENT.0.to_owned()),
            ("GOOGLE_CLIENT_SECRET", CLIENT.1.to_owned()),
        ]
    }

    /// A browser follows `authorization_url`, and somebody with these claims signs in. Where it is sent to in the end.
    ///
    /// # Errors
    /// When the provider refuses the request, or does not send the browser back.
    pub async fn sign_in(&self, authorization_url: &str, claims: &Claims<'_>) -> Result<String> {
        let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        let browser = browser.doing(|| "make a browser".to_owned())?;
        let (mut cookies, mut url) = (BTreeMap::<String, String>::new(), authorization_url.to_owned());
        for _ in 0..MOST_REDIRECTS {
            let path = url.strip_prefix(&self.issuer()).filter(|path| path.starts_with('/'));
            let Some(path) = path else { return Ok(url) };
            let asked = path.starts_with("/interaction/");
            let sent: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let request = browser.get(&url).header(COOKIE, sent.join("; ")).timeout(BOUND);
            let request = if asked { request.query(claims) } else { request };
            let answer = request.send().await.doing(|| format!("follow {url}"))?;
            for cookie in answer.headers().get_all(SET_COOKIE) {
                let pair = cookie.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
                if let Some((name, value)) = pair.split_once('=') {
                    cookies.insert(name.to_owned(), value.to_owned());
                }
            }
            let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            url = match location {
                Some(path) if path.starts_with('/') => format!("{}{path}", self.issuer()),
                Some(url) => url.to_owned(),
                None => {
                    let said = answer.text().await.unwrap_or_default();
                    return Err(StackError::new(format!("the OpenID provider does not go on at {url}: {said}")));
                }
            };
        }
        Err(StackError::new("the OpenID provider sends the browser in circles"))
    }

    /// The process, to be held or killed.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
