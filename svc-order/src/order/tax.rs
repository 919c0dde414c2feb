//! Which tax an order's lines and its shipping bear: decided by where the goods go.
//!
//! | destination | category of the article | category and rate |
//! |---|---|---|
//! | EU | S | S at the destination's standard rate |
//! | EU | Z, E, O | the same, 0 |
//! | EU | AE, K, G | as S: these depend on who buys and where to, which is no property of an article |
//! | elsewhere | any | G (export), 0 |
//!
//! Distance sales to consumers are taxed where the goods arrive (Directive 2006/112/EC, article 33, one-stop shop). The
//! rates are the standard rates as of December 2025, taken from published overviews (newcraft.dev/vat-rates-eu-countries
//! for the last changes: Finland 25.5 in September 2024, Slovakia 23 in January 2025, Estonia 24 in July 2025, Romania 21
//! in August 2025). They were not compared with the authority, the European Commission's Taxes in Europe Database, and
//! nothing later than that was looked at: do both before charging anyone.
//!
//! The trap: parts of some countries are outside the EU's VAT area (the Canary Islands, Åland, the French overseas
//! departments), and reduced rates are not here. An order keeps the rates it was placed with, so a change here never
//! changes an order.

use nats::types::{CountryCode, DecimalString, Invalid, TaxCategory, TaxRate};

/// Standard rates in percent by ISO 3166-1 code.
const STANDARD_RATES: [(&str, &str); 27] = [
    ("AT", "20"),
    ("BE", "21"),
    ("BG", "20"),
    ("CY", "19"),
    ("CZ", "21"),
    ("DE", "19"),
    ("DK", "25"),
    ("EE", "24"),
    ("ES", "21"),
    ("FI", "25.5"),
    ("FR", "20"),
    ("GR", "24"),
    ("HR", "25"),
    ("HU", "27"),
    ("IE", "23"),
    ("IT", "22"),
    ("LT", "21"),
    ("LU", "17"),
    ("LV", "21"),
    ("MT", "18"),
    ("NL", "21"),
    ("PL", "23"),
    ("PT", "23"),
    ("RO", "21"),
    ("SE", "25"),
    ("SI", "22"),
    ("SK", "23"),
];

/// The taxes of one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Destination {
    /// What standard-rated goods and the shipping bear there.
    standard: TaxRate,
}

impl Destination {
    /// The taxes of goods that go to `country`.
    ///
    /// # Errors
    /// Never, unless the table above has a rate that is none.
    pub(crate) fn of(country: CountryCode) -> Result<Self, Invalid> {
        let rate = STANDARD_RATES.iter().find(|(code, _)| *code == country.as_str());
        let standard = match rate {
            Some((_, rate)) => TaxRate::new(TaxCategory::Standard, rate.parse::<DecimalString>()?.decimal())?,
            None => untaxed(TaxCategory::Export)?,
        };
        Ok(Self { standard })
    }

    /// The tax of an article of this category.
    ///
    /// # Errors
    /// As [`Destination::of`].
    pub(crate) fn of_article(self, category: TaxCategory) -> Result<TaxRate, Invalid> {
        match category {
            TaxCategory::Zero | TaxCategory::Exempt | TaxCategory::OutOfScope if self.is_taxed() => untaxed(category),
            _ => Ok(self.standard),
        }
    }

    /// The tax of the shipping costs.
    pub(crate) const fn of_shipping(self) -> TaxRate {
        self.standard
    }

    fn is_taxed(self) -> bool {
        self.standard.category() == TaxCategory::Standard
    }
}

fn untaxed(category: TaxCategory) -> Result<TaxRate, Invalid> {
    TaxRate::new(category, DecimalString::default().decimal())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn tax(country: &str, category: TaxCategory) -> String {
        Destination::of(country.parse().unwrap()).unwrap().of_article(category).unwrap().to_string()
    }

    #[test]
    fn every_member_state_has_a_rate() {
        for (code, rate) in STANDARD_RATES {
            assert_eq!(tax(code, TaxCategory::Standard), format!("S {rate}%"));
        }
    }

    #[test]
    fn the_category_of_the_article_counts_inside_of_the_eu() {
        assert_eq!(tax("FI", TaxCategory::Standard), "S 25.5%");
        assert_eq!(tax("DE", TaxCategory::Zero), "Z 0%");
        assert_eq!(tax("DE", TaxCategory::Exempt), "E 0%");
        assert_eq!(tax("DE", TaxCategory::ReverseCharge), "S 19%");
    }

    #[test]
    fn everything_else_is_export() {
        for country in ["CH", "GB", "US", "NO"] {
            for category in TaxCategory::ALL {
                assert_eq!(tax(country, category), "G 0%", "{category} to {country}");
            }
            assert_eq!(Destination::of(country.parse().unwrap()).unwrap().of_shipping().to_string(), "G 0%");
        }
    }
}
