//! The languages that mails are written in, and their words.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Utc};
use nats::types::{CountryCode, Locale};
use serde::Deserialize;

use super::{MailError, Template};

/// A language that mails are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// English, also for whoever reads none of the others.
    English,
    /// German.
    German,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// The one for readers of `locale`.
    pub fn nearest(locale: &Locale) -> Self {
        match locale.language() {
            "de" | "gsw" => Self::German,
            _ => Self::English,
        }
    }

    /// The language tag (BCP 47).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    pub(super) fn words(self) -> Result<Words, MailError> {
        let json = match self {
            Self::English => include_str!("../../templates/mail/en.json"),
            Self::German => include_str!("../../templates/mail/de.json"),
        };
        Ok(serde_json::from_str(json)?)
    }
}

type Sentences = BTreeMap<String, String>;

/// The words of one language.
#[derive(Debug, Deserialize)]
pub struct Words {
    /// What every mail says.
    every: Sentences,
    date: String,
    months: Vec<String>,
    /// Names of countries, where the language has its own.
    countries: BTreeMap<String, String>,
    /// What one mail says, by its name.
    #[serde(flatten)]
    mails: BTreeMap<String, Sentences>,
}

impl Words {
    /// What `template` says: its own sentences and those of every mail.
    pub fn of(&self, template: Template) -> impl Iterator<Item = (&str, &str)> {
        let own = self.mails.get(template.name());
        self.every.iter().chain(own.into_iter().flatten()).map(|(key, sentence)| (key.as_str(), sentence.as_str()))
    }

    /// A date (UTC), as one writes it in a letter: `20 November 2026`.
    pub fn date(&self, time: DateTime<Utc>) -> String {
        let month = usize::try_from(time.month0()).ok().and_then(|month| self.months.get(month));
        self.date
            .replace("{{day}}", &time.day().to_string())
            .replace("{{month}}", month.map_or("", String::as_str))
            .replace("{{year}}", &time.year().to_string())
    }

    /// The name of a country.
    pub fn country(&self, code: CountryCode) -> String {
        self.countries.get(code.as_str()).cloned().unwrap_or_else(|| code.name().to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_language_says_everything() {
        let english = Language::English.words().unwrap();
        for language in Language::ALL {
            let words = language.words().unwrap();
            assert_eq!(words.months.len(), 12);
            for template in Template::ALL {
                let keys = |words: &Words| words.of(template).map(|(key, _)| key.to_owned()).collect::<BTreeSet<_>>();
                assert_eq!(keys(&words), keys(&english), "{} in {}", template.name(), language.tag());
            }
        }
    }

    #[test]
    fn dates_and_countries() {
        let time: DateTime<Utc> = "2026-03-01T23:59:59Z".parse().unwrap();
        let (english, german) = (Language::English.words().unwrap(), Language::German.words().unwrap());
        assert_eq!((english.date(time), german.date(time)), ("1 March 2026".to_owned(), "1. März 2026".to_owned()));
        let germany: CountryCode = "DE".parse().unwrap();
        assert_eq!(
            (english.country(germany), german.country(germany)),
            ("Germany".to_owned(), "Deutschland".to_owned())
        );
        let kosovo: CountryCode = "XK".parse().unwrap();
        assert_eq!(german.country(kosovo), kosovo.name());
    }

    #[test]
    fn the_nearest_language() {
        for (locale, language) in [
            ("de-AT", Language::German),
            ("de", Language::German),
            ("en-GB", Language::English),
            ("fr", Language::English),
        ] {
            assert_eq!(Language::nearest(&locale.parse().unwrap()), language, "{locale}");
        }
    }
}
