//! The mail catcher (maildev, from `.argosy/mail`): takes every mail by SMTP, delivers none, shows them on a
//! web page and by REST.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::error::{Doing, with_causes};
use crate::process::Process;
use crate::wait::wait_for;
use crate::{Result, ports, tools};

const BOUND: Duration = Duration::from_secs(30);

/// A running mail catcher; dropping it stops it.
#[derive(Debug)]
pub struct MailCatcher {
    process: Process,
    smtp_port: u16,
    http_port: u16,
}

/// A mail as it was caught.
#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    /// The catcher's name for it.
    pub id: String,
    /// The decoded subject.
    #[serde(default, deserialize_with = "or_null")]
    pub subject: String,
    /// Who it is from.
    #[serde(default, deserialize_with = "or_null")]
    pub from: Vec<Address>,
    /// Who it is to.
    #[serde(default, deserialize_with = "or_null")]
    pub to: Vec<Address>,
    /// The plain text part.
    #[serde(default, deserialize_with = "or_null")]
    pub text: String,
    /// The HTML part.
    #[serde(default, deserialize_with = "or_null")]
    pub html: String,
    /// All headers, by their names in lower case.
    #[serde(default, deserialize_with = "or_null")]
    pub headers: serde_json::Map<String, serde_json::Value>,
    /// What is attached.
    #[serde(default, deserialize_with = "or_null")]
    pub attachments: Vec<Attachment>,
}

/// A sender or receiver.
#[derive(Clone, Debug, Deserialize)]
pub struct Address {
    /// `ann@example.org`
    pub address: String,
    /// The name beside it, often empty.
    #[serde(default, deserialize_with = "or_null")]
    pub name: String,
}

/// A file in a mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// Its name in the mail.
    #[serde(default, deserialize_with = "or_null")]
    pub file_name: String,
    /// Its media type.
    #[serde(default, deserialize_with = "or_null")]
    pub content_type: String,
    /// Its size in bytes.
    #[serde(default, deserialize_with = "or_null")]
    pub length: u64,
}

impl MailCatcher {
    /// Starts on these ports, or on free ones. The log and the mails are in `dir`; mails that are there already
    /// are shown again.
    pub async fn start(dir: &Path, smtp_port: Option<u16>, http_port: Option<u16>) -> Result<Self> {
        let node = tools::on_path("node", "nodejs")?;
        let program = tools::maildev()?;
        let mails = dir.join("mails");
        std::fs::create_dir_all(&mails).doing(|| format!("make {}", mails.display()))?;
        let catcher = ports::on_port("the mail catcher's SMTP", smtp_port, async |smtp_port| {
            ports::on_port("the mail catcher's web page", http_port, async |http_port| {
                let mut command = Command::new(&node);
                tools::without_settings(&mut command, "MAILDEV_");
                command.arg(&program).arg("--mail-directory").arg(&mails);
                command.args(["--ip", "127.0.0.1", "--smtp", &smtp_port.to_string()]);
                command.args(["--web-ip", "127.0.0.1", "--web", &http_port.to_string()]);
                let process = Process::spawn("the mail catcher", command, &dir.join("mail.log"))?;
                process.until_ready(BOUND, async || ready(smtp_port, http_port).await).await?;
                Ok(Self { process, smtp_port, http_port })
            })
            .await
        })
        .await?;
        catcher.reload().await?;
        Ok(catcher)
    }

    /// Starts it again on the same ports, after [`Process::kill`] or [`Process::terminate`].
    pub async fn restart(&mut self) -> Result<()> {
        self.process.respawn()?;
        let (smtp, http) = (self.smtp_port, self.http_port);
        self.process.until_ready(BOUND, async || ready(smtp, http).await).await?;
        self.reload().await
    }

    /// Where SMTP is spoken: `127.0.0.1` and this port, no login, no TLS.
    pub fn smtp_port(&self) -> u16 {
        self.smtp_port
    }

    /// The web page, and the root of the REST interface (`/email`).
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// All mails, the oldest first; those read back at the start stand in any order.
    pub async fn mails(&self) -> Result<Vec<Mail>> {
        let failed = || "read the mail catcher's mails".to_owned();
        let answer = reqwest::get(format!("{}/email", self.url())).await.doing(failed)?;
        answer.json().await.doing(failed)
    }

    /// The newest mail to this address whose subject contains these words; waits for it at most `bound`.
    pub async fn wait_for_mail(&self, to: &str, subject: &str, bound: Duration) -> Result<Mail> {
        let what = format!("a mail to {to} about {subject:?}");
        wait_for(&what, bound, async || {
            let mails = self.mails().await.map_err(|error| error.to_string())?;
            let seen: Vec<_> = mails.iter().map(Mail::summary).collect();
            let wanted = |mail: &Mail| mail.is_to(to) && mail.subject.contains(subject);
            mails.into_iter().rev().find(wanted).map(Some).ok_or_else(|| format!("the catcher has {seen:?}"))
        })
        .await
    }

    /// The process, to be killed or asked for its number.
    pub fn process(&self) -> &Process {
        &self.process
    }

    async fn reload(&self) -> Result<()> {
        let answer = reqwest::get(format!("{}/reloadMailsFromDirectory", self.url())).await;
        answer.map(drop).doing(|| "have the mail catcher read its mails back".to_owned())
    }
}

impl Mail {
    /// Whether it is addressed to somebody.
    pub fn is_to(&self, address: &str) -> bool {
        self.to.iter().any(|to| to.address.eq_ignore_ascii_case(address))
    }

    fn summary(&self) -> String {
        let to: Vec<_> = self.to.iter().map(|to| to.address.as_str()).collect();
        format!("{} to {}", self.subject, to.join(", "))
    }
}

/// The catcher writes null for what a mail does not have.
fn or_null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(source: D) -> std::result::Result<T, D::Error> {
    Ok(Option::deserialize(source)?.unwrap_or_default())
}

/// Both ports answer: the web server starts a little before the other.
async fn ready(smtp_port: u16, http_port: u16) -> std::result::Result<Option<()>, String> {
    let answer = reqwest::get(format!("http://127.0.0.1:{http_port}/healthz")).await;
    answer.and_then(reqwest::Response::error_for_status).map_err(|error| with_causes(&error))?;
    let smtp = tokio::net::TcpStream::connect(("127.0.0.1", smtp_port)).await;
    smtp.map(|_| Some(())).map_err(|error| error.to_string())
}
