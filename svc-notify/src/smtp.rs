//! SMTP: handing a mail to the mail server.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `SMTP_URL` | `smtp://host:port`; `smtps://…` for TLS, `?tls=required` for STARTTLS, `user:password@` for a login | required |
//! | `MAIL_FROM` | who mail is from | `Argosy <no-reply@argosy.example>` |
//!
//! Trap: a server that took a mail and whose answer is lost gets it again. The Message-ID is the notification's own and
//! the same each time, so receivers can tell.

use std::{sync::Arc, time::Duration};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::PoolConfig,
};
use nats::{
    config::Settings,
    resilience::{Guard, Policy, Shut, Verdict},
    service::StartError,
    types::NotificationId,
};

/// How long the server has for each of its answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Connections kept open at most.
const CONNECTIONS: u32 = 4;

/// What is needed to write a mail.
pub(crate) struct Letter<'a> {
    pub(crate) id: NotificationId,
    pub(crate) recipient: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) html: &'a str,
    pub(crate) text: &'a str,
}

/// Why the server did not take a mail. The sentence names no address.
#[derive(Debug)]
pub(crate) enum Undelivered {
    /// Later may be better.
    ForNow(String),
    /// It never will.
    ForGood(String),
}

/// The connection to the mail server; cheap to clone.
#[derive(Clone)]
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    guard: Arc<Guard>,
}

impl Mailer {
    /// As the settings say. The server is not contacted yet: it may come up later than we do.
    pub(crate) fn new(settings: &Settings) -> Result<Self, StartError> {
        let url = settings.require("SMTP_URL")?;
        let default = Mailbox::new(Some("Argosy".to_owned()), address("no-reply", "argosy.example")?);
        let from = settings.parse("MAIL_FROM", default)?;
        // The error may quote the URL, and with it a password.
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&url).map_err(|_| {
            StartError::Other("setting SMTP_URL: it is not an address such as `smtp://host:port`".to_owned())
        })?;
        let pool = PoolConfig::new().max_size(CONNECTIONS).idle_timeout(Duration::from_secs(30));
        let transport = builder.timeout(Some(ANSWER_WITHIN)).pool_config(pool).build();
        let guard = Arc::new(Guard::new(Policy::MAIL.with(settings)?, "the mail server"));
        Ok(Self { transport, from, guard })
    }

    /// Hands a mail to the server.
    pub(crate) async fn send(&self, letter: &Letter<'_>) -> Result<(), Undelivered> {
        let message =
            self.write(letter).map_err(|reason| Undelivered::ForGood(without_address(&reason, letter.recipient)))?;
        // What is not taken now is sent again from the queue, so there is one try here.
        let attempt = |time| {
            let sending = tokio::time::timeout(time, self.transport.send(message.clone()));
            async move {
                match sending.await {
                    Ok(Ok(_accepted)) => Ok(()),
                    Ok(Err(error)) if error.is_permanent() => {
                        Err(Undelivered::ForGood(without_address(&error.to_string(), letter.recipient)))
                    }
                    Ok(Err(error)) => Err(Undelivered::ForNow(without_address(&causes(&error), letter.recipient))),
                    Err(_elapsed) => Err(Undelivered::ForNow(format!("the mail server took over {time:?}"))),
                }
            }
        };
        let sent = self.guard.run(self.guard.policy().deadline, judge, attempt).await;
        sent.unwrap_or_else(|shut| Err(Undelivered::ForNow(refused(shut).to_owned())))
    }

    fn write(&self, letter: &Letter<'_>) -> Result<Message, String> {
        let recipient: Address = letter.recipient.parse().map_err(|_| "the recipient is no mail address".to_owned())?;
        let message = Message::builder()
            .from(self.from.clone())
            // Without the name: what a person calls themselves has no place in a header.
            .to(Mailbox::new(None, recipient))
            .subject(letter.subject)
            .message_id(Some(format!("<{}@argosy>", letter.id)))
            // Keeps vacation responders quiet (RFC 3834).
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(letter.text.to_owned(), letter.html.to_owned()));
        message.map_err(|error| error.to_string())
    }
}

/// What a delivery says about the mail server.
fn judge(sent: &Result<(), Undelivered>) -> Verdict {
    match sent {
        Err(Undelivered::ForNow(_)) => Verdict::Failed { again: false },
        Ok(()) | Err(Undelivered::ForGood(_)) => Verdict::Fine,
    }
}

const fn refused(shut: Shut) -> &'static str {
    match shut {
        Shut::Open => "the mail server failed again and again and is left alone for a moment",
        Shut::Full => "too many mails are being handed over",
        Shut::TimeIsUp => "there was no time left",
    }
}

fn address(user: &str, domain: &str) -> Result<Address, StartError> {
    Address::new(user, domain).map_err(|error| StartError::Other(error.to_string()))
}

/// The error with all that led to it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !sentence.contains(&cause_text) {
            sentence.push_str(": ");
            sentence.push_str(&cause_text);
        }
        next = cause.source();
    }
    sentence
}

/// Servers quote the recipient in their refusals; logs and lists must not.
fn without_address(reason: &str, recipient: &str) -> String {
    let shown = reason.replace(recipient, "…");
    let words = shown.split_whitespace().map(|word| if word.contains('@') { "…" } else { word });
    words.collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn mailer() -> Mailer {
        Mailer::new(&Settings::default().with("SMTP_URL", "smtp://127.0.0.1:1")).unwrap()
    }

    #[tokio::test]
    async fn a_mail_has_its_headers_and_nothing_can_add_one() {
        let id = NotificationId::new();
        let letter = Letter {
            id,
            recipient: "ada@example.com",
            subject: "Hi\r\nBcc: all@example.com",
            html: "<p>ä</p>",
            text: "ä\r\n.\r\nBcc: all@example.com",
        };
        let message = String::from_utf8(mailer().write(&letter).unwrap().formatted()).unwrap();
        let headers = message.split("\r\n\r\n").next().unwrap();
        let named =
            |name: &str| headers.lines().filter(|line| line.to_lowercase().starts_with(name)).collect::<Vec<_>>();
        assert_eq!(named("message-id:"), [format!("Message-ID: <{id}@argosy>")]);
        assert_eq!(named("from:"), ["From: Argosy <no-reply@argosy.example>"]);
        assert_eq!(named("to:"), ["To: ada@example.com"]);
        assert_eq!(named("auto-submitted:"), ["Auto-Submitted: auto-generated"]);
        assert_eq!(named("bcc:"), Vec::<&str>::new(), "{headers}");
        assert!(headers.contains("multipart/alternative"), "{headers}");
    }

    #[test]
    fn settings_are_checked_without_being_shown() {
        let error = |settings: Settings| Mailer::new(&settings).err().unwrap().to_string();
        assert!(error(Settings::default()).contains("SMTP_URL"));
        let shown = error(Settings::default().with("SMTP_URL", "ftp://user:hunter2@host"));
        assert!(shown.contains("SMTP_URL") && !shown.contains("hunter2"), "{shown}");
        let settings = Settings::default().with("SMTP_URL", "smtp://127.0.0.1:1").with("MAIL_FROM", "nobody");
        assert!(error(settings).contains("MAIL_FROM"));
    }

    #[test]
    fn reasons_name_no_address() {
        let reason =
            without_address("550 5.1.1 <ada@example.com>: user ada@example.com unknown, see x@y.z", "ada@example.com");
        assert!(!reason.contains("ada") && !reason.contains('@'), "{reason}");
        assert!(reason.starts_with("550 5.1.1"), "{reason}");
    }
}
