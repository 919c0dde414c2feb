//! Mails from templates: `templates/mail/<template>.{html,txt}.hbs`, with the words of each language in `<language>.json`.
//!
//! Words are templates too ("Order {{number}} is confirmed"); they are rendered first, as plain text, and stand in the
//! mail's templates as `{{t.heading}}`. The HTML templates escape whatever they show, the words included. Rendering is
//! strict: a name that is not in the data is an error, and the tests render every mail in every language.
//!
//! Trap: a subject is a header. It is made a single line before it goes anywhere ([`text::one_line`]).

pub mod language;
pub mod text;

use std::{collections::BTreeMap, fmt, str::FromStr};

use handlebars::{Handlebars, RenderError, TemplateError, html_escape, no_escape};
use nats::types::{Invalid, Locale};
use serde::Serialize;
use serde_json::{Map, Value, json};

use language::{Language, Words};

/// The mails there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Template {
    /// To someone who registered.
    Welcome,
    /// To someone whose address is to be verified.
    EmailVerification,
    /// To someone who forgot their password.
    PasswordReset,
    /// To someone who is to become a member of a company.
    CompanyInvitation,
    /// To someone whose order is paid.
    OrderConfirmed,
    /// To someone whose order will not be fulfilled.
    OrderCanceled,
    /// To someone whose invoice can be downloaded.
    Invoice,
}

impl Template {
    /// Every mail.
    pub const ALL: [Self; 7] = [
        Self::Welcome,
        Self::EmailVerification,
        Self::PasswordReset,
        Self::CompanyInvitation,
        Self::OrderConfirmed,
        Self::OrderCanceled,
        Self::Invoice,
    ];

    /// Its name: of its files, in the delivery log, in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::EmailVerification => "email_verification",
            Self::PasswordReset => "password_reset",
            Self::CompanyInvitation => "company_invitation",
            Self::OrderConfirmed => "order_confirmed",
            Self::OrderCanceled => "order_canceled",
            Self::Invoice => "invoice",
        }
    }
}

/// A mail, rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// The page.
    pub html: String,
    /// The same as plain text.
    pub text: String,
}

/// Why a mail could not be rendered: a mistake in a template or in its data.
#[derive(Debug)]
pub struct MailError(String);

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a mail template is broken: {}", self.0)
    }
}

impl std::error::Error for MailError {}

impl MailError {
    /// The data does not add up.
    pub(crate) fn because(error: &impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl From<TemplateError> for MailError {
    fn from(error: TemplateError) -> Self {
        Self(error.to_string())
    }
}

impl From<RenderError> for MailError {
    fn from(error: RenderError) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for MailError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Where people reach the shop, without a `/` at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl Default for PublicUrl {
    fn default() -> Self {
        Self("http://127.0.0.1:8080".to_owned())
    }
}

impl FromStr for PublicUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        match host {
            Some(host) if !host.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !"\"'<>\\".contains(c)) => {
                Ok(Self(text.trim_end_matches('/').to_owned()))
            }
            _ => Err(Invalid::quoting(text, "is not an address such as `https://shop.example`")),
        }
    }
}

impl PublicUrl {
    /// The address of a path at the shop.
    pub fn at(&self, path: &str) -> String {
        format!("{}/{}", self.0, path.trim_start_matches('/'))
    }
}

/// All templates, parsed.
pub struct Templates {
    public_url: PublicUrl,
    html: Handlebars<'static>,
    text: Handlebars<'static>,
    words: BTreeMap<Language, Words>,
}

macro_rules! files {
    ($registry:ident, $extension:literal: $($name:literal),+) => {
        $($registry.register_template_string(
            $name, include_str!(concat!("../templates/mail/", $name, ".", $extension, ".hbs")))?;)+
    };
}

impl Templates {
    /// Parses what is built into the program.
    ///
    /// # Errors
    /// When a template does not parse.
    pub fn load(public_url: PublicUrl) -> Result<Self, MailError> {
        let (mut html, mut text) = (Handlebars::new(), Handlebars::new());
        html.register_escape_fn(html_escape);
        text.register_escape_fn(no_escape);
        html.set_strict_mode(true);
        text.set_strict_mode(true);
        files!(html, "html": "layout", "text", "button", "lines");
        files!(text, "txt": "layout");
        files!(html, "html": "welcome", "email_verification", "password_reset", "company_invitation");
        files!(text, "txt": "welcome", "email_verification", "password_reset", "company_invitation");
        files!(html, "html": "order_confirmed", "order_canceled", "invoice");
        files!(text, "txt": "order_confirmed", "order_canceled", "invoice");
        let words = Language::ALL.into_iter().map(|language| Ok((language, language.words()?)));
        Ok(Self { public_url, html, text, words: words.collect::<Result<_, MailError>>()? })
    }

    /// Renders a mail in the language that is nearest to `locale`. `data` is an object; see each mail's own type.
    ///
    /// # Errors
    /// When the data lacks something that the template names.
    pub fn render(&self, template: Template, locale: &Locale, data: &impl Serialize) -> Result<Mail, MailError> {
        let language = Language::nearest(locale);
        let words = self.words(language)?;
        let mut context = match serde_json::to_value(data)? {
            Value::Object(fields) => fields,
            _ => return Err(MailError("the data is no object".to_owned())),
        };
        let mut said = Map::new();
        for (key, sentence) in words.of(template) {
            said.insert(key.to_owned(), Value::String(self.text.render_template(sentence, &context)?));
        }
        let subject = text::one_line(said.get("subject").and_then(Value::as_str).unwrap_or_default());
        context.extend([
            ("t".to_owned(), Value::Object(said)),
            ("lang".to_owned(), json!(language.tag())),
            ("subject".to_owned(), json!(subject)),
            ("shop_url".to_owned(), json!(self.public_url.at("/"))),
        ]);
        let html = self.html.render(template.name(), &context)?;
        let text = self.text.render(template.name(), &context)?;
        Ok(Mail { subject, html, text: text::tidy(&text) })
    }

    /// The words of the language that is nearest to `locale`, for dates and countries.
    ///
    /// # Errors
    /// Never in practice: every language's words are built in.
    pub fn words(&self, language: Language) -> Result<&Words, MailError> {
        self.words.get(&language).ok_or_else(|| MailError(format!("there are no words for {}", language.tag())))
    }

    /// Where people reach the shop.
    pub const fn public_url(&self) -> &PublicUrl {
        &self.public_url
    }
}
