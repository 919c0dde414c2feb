//! What this installation is at the provider.

use std::fmt::Display;

use nats::{config::Settings, service::StartError, types::Secret};
use openidconnect::url::{Host, Url};

const GOOGLE: &str = "https://accounts.google.com";
const LOCAL: &str = "http://127.0.0.1:8080";

/// A client of a provider.
pub(super) struct Client {
    /// As it stands in ID tokens, to the letter.
    pub(super) issuer: String,
    /// Whether the provider is on this machine, where plain HTTP is not overheard.
    pub(super) local: bool,
    pub(super) id: String,
    pub(super) secret: Secret<String>,
}

/// The client, when there is one.
pub(super) fn client(settings: &Settings) -> Result<Option<Client>, StartError> {
    let issuer = settings.get("GOOGLE_ISSUER")?.unwrap_or_else(|| GOOGLE.to_owned());
    let url = Url::parse(&issuer).map_err(|error| wrong("GOOGLE_ISSUER", &error))?;
    let local = is_loopback(&url);
    if url.scheme() != "https" && !(url.scheme() == "http" && local) {
        return Err(wrong("GOOGLE_ISSUER", &"a provider is asked by https:// only, unless it is on this machine"));
    }
    match settings.get("GOOGLE_CLIENT_ID")? {
        None => Ok(None),
        Some(id) => Ok(Some(Client { issuer, local, id, secret: settings.require("GOOGLE_CLIENT_SECRET")?.into() })),
    }
}

/// How browsers reach us.
pub(super) fn public_url(settings: &Settings) -> Result<String, StartError> {
    let text = settings.get("PUBLIC_URL")?.unwrap_or_else(|| LOCAL.to_owned());
    let url = Url::parse(&text).map_err(|error| wrong("PUBLIC_URL", &error))?;
    if !matches!(url.scheme(), "https" | "http") || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("PUBLIC_URL", &"this must be https://… or http://…, without a query"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Whether what is sent there stays on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn wrong(setting: &str, why: &dyn Display) -> StartError {
    StartError::Other(format!("setting {setting}: {why}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn with(issuer: &str) -> Settings {
        let settings = Settings::default().with("GOOGLE_CLIENT_ID", "shop").with("GOOGLE_CLIENT_SECRET", "s");
        if issuer.is_empty() { settings } else { settings.with("GOOGLE_ISSUER", issuer) }
    }

    #[test]
    fn a_provider_is_asked_in_plain_text_on_this_machine_only() {
        for (issuer, local) in [
            ("", false),
            ("https://accounts.example.com/tenant", false),
            ("http://127.0.0.1:9000", true),
            ("http://[::1]:9000", true),
            ("http://localhost:9000", true),
        ] {
            let client = client(&with(issuer)).unwrap().unwrap();
            assert_eq!(client.local, local, "{issuer}");
            assert_eq!(client.issuer, if issuer.is_empty() { GOOGLE } else { issuer });
        }
        for issuer in [
            "http://accounts.google.com",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "accounts.google.com",
        ] {
            assert!(client(&with(issuer)).is_err(), "{issuer}");
        }
    }

    #[test]
    fn a_client_has_an_id_and_a_secret() {
        assert!(client(&Settings::default()).unwrap().is_none(), "nobody has to have one");
        assert!(client(&Settings::default().with("GOOGLE_CLIENT_ID", "shop")).is_err());
    }

    #[test]
    fn people_come_by_http() {
        let url = |url| public_url(&Settings::default().with("PUBLIC_URL", url));
        assert_eq!(url("https://shop.example/").unwrap(), "https://shop.example");
        assert_eq!(public_url(&Settings::default()).unwrap(), LOCAL);
        for wrong in ["shop.example", "ftp://shop.example", "https://shop.example/?a", "https://shop.example/#a"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
