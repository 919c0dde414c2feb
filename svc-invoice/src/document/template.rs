//! The page: `templates/invoice.html.hbs`, its style sheet and the shop's mark, all embedded.
//!
//! The trap: `{{{x}}}` does not escape. The template has none, and a test keeps it so. The style sheet comes in as a
//! partial and the mark as a data: URI, both made at build time from this repository alone; nothing that a customer
//! typed goes into a `<style>`, where HTML escaping would not protect.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use handlebars::{Handlebars, RenderError, TemplateError as ParseError};
use serde::Serialize;

use super::model::Invoice;
use super::view::{InvoiceView, ViewError};

const PAGE: &str = include_str!("../../templates/invoice.html.hbs");
const STYLE: &str = include_str!("../../templates/invoice.css");
const MARK: &str = include_str!("../../templates/argosy.svg");

/// Why there is no page.
#[derive(Debug)]
pub enum TemplateError {
    /// The invoice has a figure that cannot be printed.
    Invoice(ViewError),
    /// The template itself is wrong: a fault of this program.
    Template(Box<dyn std::error::Error + Send + Sync>),
}

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invoice(problem) => problem.fmt(f),
            Self::Template(_) => {
                f.write_str("The invoice's page template cannot be used; this is a fault of the service.")
            }
        }
    }
}

impl std::error::Error for TemplateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Invoice(problem) => Some(problem),
            Self::Template(problem) => Some(problem.as_ref()),
        }
    }
}

impl From<ParseError> for TemplateError {
    fn from(problem: ParseError) -> Self {
        Self::Template(Box::new(problem))
    }
}

impl From<RenderError> for TemplateError {
    fn from(problem: RenderError) -> Self {
        Self::Template(Box::new(problem))
    }
}

/// The compiled templates. Made once, used by many.
#[derive(Debug)]
pub struct Templates {
    registry: Handlebars<'static>,
    mark: String,
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    view: &'a InvoiceView,
    mark_source: &'a str,
}

impl Templates {
    /// Compiles the embedded templates.
    ///
    /// # Errors
    /// A template that does not parse.
    pub fn new() -> Result<Self, TemplateError> {
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_template_string("invoice", PAGE)?;
        registry.register_partial("style", STYLE)?;
        let mark = format!("data:image/svg+xml;base64,{}", STANDARD.encode(MARK));
        Ok(Self { registry, mark })
    }

    /// The invoice as one HTML document that needs nothing else.
    ///
    /// # Errors
    /// A quantity, price or rate that is no decimal number.
    pub fn html(&self, invoice: &Invoice) -> Result<String, TemplateError> {
        let view = InvoiceView::of(invoice).map_err(TemplateError::Invoice)?;
        Ok(self.registry.render("invoice", &Page { view: &view, mark_source: &self.mark })?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::document::model::{Kind, Letterhead, Place, postal_lines};

    const SAMPLE: &str = include_str!("../../templates/sample/invoice.json");
    const HOSTILE: &str = "<script>alert(1)</script><img src=\"file:///etc/passwd\">'}}{{number}}</style>";

    fn sample() -> Invoice {
        serde_json::from_str(SAMPLE).unwrap()
    }

    fn html(invoice: &Invoice) -> String {
        Templates::new().unwrap().html(invoice).unwrap()
    }

    /// The same JSON with every text replaced that a customer could have typed.
    fn poison(value: &mut serde_json::Value, key: &str) {
        const FIXED: [&str; 10] = [
            "type",
            "letterhead",
            "issue_date",
            "due_date",
            "delivery_date",
            "quantity",
            "unit_price",
            "tax_rate",
            "rate",
            "currency",
        ];
        match value {
            serde_json::Value::String(text) if !FIXED.contains(&key) => HOSTILE.clone_into(text),
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| poison(item, key)),
            serde_json::Value::Object(fields) => fields.iter_mut().for_each(|(key, item)| poison(item, key)),
            _ => {}
        }
    }

    #[test]
    fn the_template_escapes_everywhere() {
        assert!(!PAGE.contains("{{{") && !PAGE.contains("{{&"), "an unescaped value");
        assert!(!STYLE.contains("{{") && !STYLE.contains("url("), "the style sheet is no template and loads nothing");
    }

    #[test]
    fn hostile_text_in_every_field_stays_text() {
        let mut value: serde_json::Value = serde_json::from_str(SAMPLE).unwrap();
        poison(&mut value, "");
        let mut invoice: Invoice = serde_json::from_value(value).unwrap();
        invoice.ship_to = Some(invoice.buyer.clone());
        invoice.preceding_invoice = Some(HOSTILE.to_owned());
        invoice.taxes[0].exemption_reason = Some(HOSTILE.to_owned());
        invoice.totals.due.currency = HOSTILE.to_owned();
        let page = html(&invoice);
        assert!(page.matches("&lt;script&gt;").count() > 20);
        for tag in ["<script", "<img src=\"file", "<img src=\"http"] {
            assert!(!page.contains(tag), "{tag}");
        }
        assert_eq!(page.matches("</style>").count(), 1);
        assert_eq!(page.matches("<html lang=\"en\">").count(), 1, "a hostile locale reads English");
    }

    #[test]
    fn marks_that_turn_the_writing_are_taken_out() {
        let mut invoice = sample();
        invoice.lines[0].name = "Lamp \u{202e}00,1\u{0} \u{2066}".to_owned();
        assert!(html(&invoice).contains("<b>Lamp 00,1</b>"));
    }

    #[test]
    fn the_german_page_says_it_in_german() {
        let page = html(&sample());
        for text in [
            "<html lang=\"de-DE\">",
            "<title>Rechnung WEB-2026-000042</title>",
            "20.11.2026",
            "20.12.2026",
            "251,42\u{a0}€",
            "189,70\u{a0}€",
            "19\u{a0}%",
            "49,90",
            "FRANKREICH",
            "Art.-Nr. LMP-1",
            "1,5 <span",
            "\u{2212}5,00\u{a0}€",
            "USt-IdNr.",
            "DE02\u{a0}1203\u{a0}0000",
            "Zahlbar bis 20.12.2026",
            "fold-upper",
        ] {
            assert!(page.contains(text), "{text}");
        }
    }

    #[test]
    fn each_language_has_its_page() {
        for (locale, heading, due, total) in [
            ("en-GB", "Invoice", "Amount due", "€251.42"),
            ("fr-FR", "Facture", "Net à payer", "251,42\u{a0}€"),
            ("es-ES", "Factura", "Total a pagar", "251,42\u{a0}€"),
        ] {
            let page = html(&Invoice { locale: locale.to_owned(), ..sample() });
            for text in [format!("<h1>{heading} <span>"), format!("{due}</th>"), format!("{total}</td>")] {
                assert!(page.contains(&text), "{locale}: {text}");
            }
        }
    }

    #[test]
    fn a_credit_note_asks_for_no_money() {
        let page = html(&Invoice {
            kind: Kind::CreditNote,
            locale: "en".to_owned(),
            preceding_invoice: Some("WEB-2026-000041".to_owned()),
            ..sample()
        });
        for text in ["Credit note", "Amount credited", "Original invoice", "WEB-2026-000041"] {
            assert!(page.contains(text), "{text}");
        }
        for text in ["Amount due", "Due date", "Payable by", "IBAN"] {
            assert!(!page.contains(text), "{text}");
        }
    }

    #[test]
    fn a_paid_invoice_says_when() {
        let page = html(&Invoice {
            locale: "en-GB".to_owned(),
            paid_on: chrono::NaiveDate::from_ymd_opt(2026, 11, 21),
            ..sample()
        });
        assert!(page.contains("Paid on 21\u{a0}Nov\u{a0}2026"));
        assert!(!page.contains("Payable by"));
    }

    #[test]
    fn the_shops_mark_is_only_its_own() {
        assert!(html(&sample()).contains("<img src=\"data:image/svg+xml;base64,"));
        assert!(!html(&Invoice { letterhead: Letterhead::Plain, ..sample() }).contains("<img"));
    }

    #[test]
    fn a_figure_that_is_none_is_refused_with_its_place() {
        let mut invoice = sample();
        invoice.lines[1].quantity = "a few".to_owned();
        let problem = Templates::new().unwrap().html(&invoice).unwrap_err();
        assert!(problem.to_string().contains("/lines/1/quantity"), "{problem}");
    }

    #[test]
    fn addresses_follow_the_post_of_their_country() {
        let lines = |country, region| {
            let place = Place { city: "Town", postal_code: Some("123"), region, country };
            postal_lines(&["Street 1", ""], &place).join("|")
        };
        assert_eq!(lines("DE", None), "Street 1|123 Town");
        assert_eq!(lines("US", Some("NY")), "Street 1|Town, NY 123");
        assert_eq!(lines("GB", None), "Street 1|Town|123");
        assert_eq!(lines("ES", Some("Cádiz")), "Street 1|123 Town (Cádiz)");
    }
}
