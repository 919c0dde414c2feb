//! The page: `templates/invoice.html.hbs`, its style sheet and the shop's mark, all embedded.
//!
//! The trap: `{{{x}}}` does not escape. The template has none, and a test keeps it so. The style sheet comes in as a
//! partial, with the seller's colors put in when the templates are compiled, and the mark as a data: URI; nothing that a
//! customer typed goes into a `<style>`, where HTML escaping would not protect.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use handlebars::{Handlebars, RenderError, TemplateError as ParseError};
use serde::Serialize;

use super::direction::dir_of;
use super::model::Invoice;
use super::page::Page;
use super::theme::Theme;
use super::view::{InvoiceView, ViewError};

/// An invoice with everything that most have.
const SPECIMEN: &str = include_str!("../../templates/sample/invoice.json");
const PAGE: &str = include_str!("../../templates/invoice.html.hbs");
const STYLE: &str = include_str!("../../templates/invoice.css");
const MARK: &str = include_str!("../../templates/argosy.svg");
/// Says that the PDF is PDF/UA-1 too, with the schema that PDF/A wants of what it does not know.
const ACCESSIBLE: &str = include_str!("../../templates/accessible.xmp");
/// More are refused before any work; each takes WeasyPrint some milliseconds.
const MOST_LINES: usize = 2000;

/// Why there is no page.
#[derive(Debug)]
pub enum TemplateError {
    /// The invoice has a figure that cannot be printed.
    Invoice(ViewError),
    /// The invoice has so many lines.
    TooLong(usize),
    /// The template itself is wrong: a fault of this program.
    Template(Box<dyn std::error::Error + Send + Sync>),
}

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invoice(problem) => problem.fmt(f),
            Self::TooLong(lines) => {
                write!(f, "The invoice has {lines} lines, of which {MOST_LINES} can be printed. Split it.")
            }
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
            Self::TooLong(_) => None,
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
    logo: Option<String>,
}

#[derive(Serialize)]
struct Context<'a> {
    #[serde(flatten)]
    view: &'a InvoiceView,
    /// Stands beside the seller's name.
    mark: Option<&'a str>,
    /// Stands in place of both.
    logo: Option<&'a str>,
}

impl Templates {
    /// Compiles the embedded templates, with the shop's own colors.
    ///
    /// # Errors
    /// A template that does not parse.
    pub fn new() -> Result<Self, TemplateError> {
        Self::themed(&Theme::default())
    }

    /// Compiles the embedded templates, with a seller's colors and logo.
    ///
    /// # Errors
    /// A template that does not parse.
    pub fn themed(theme: &Theme) -> Result<Self, TemplateError> {
        let style = STYLE
            .replace("var(--brand)", &theme.brand.to_string())
            .replace("var(--on-brand)", &theme.brand.text().to_string())
            .replace("var(--accent)", &theme.accent.to_string());
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_helper("dir_of", Box::new(dir_of));
        registry.register_template_string("invoice", PAGE)?;
        registry.register_partial("style", style)?;
        let mark = format!("data:image/svg+xml;base64,{}", STANDARD.encode(MARK));
        Ok(Self { registry, mark, logo: theme.logo.as_ref().map(|logo| logo.as_str().to_owned()) })
    }

    /// A page like those to come, for a renderer to get warm with.
    ///
    /// # Errors
    /// The embedded invoice cannot be read or printed.
    pub fn specimen(&self) -> Result<String, TemplateError> {
        self.html(&serde_json::from_str(SPECIMEN).map_err(|problem| TemplateError::Template(Box::new(problem)))?)
    }

    /// The invoice as a page that becomes a PDF for archives (PDF/A-3a) and for everybody (PDF/UA-1).
    ///
    /// # Errors
    /// As [`html`](Self::html).
    pub fn page(&self, invoice: &Invoice) -> Result<Page, TemplateError> {
        Ok(Page { xmp: Some(ACCESSIBLE.to_owned()), ..Page::of(self.html(invoice)?) })
    }

    /// The invoice as one HTML document that needs nothing else. Work for a processor: 10 ms for 1000 lines.
    ///
    /// # Errors
    /// A quantity, price or rate that is no decimal number, or more lines than can be printed.
    pub fn html(&self, invoice: &Invoice) -> Result<String, TemplateError> {
        if invoice.lines.len() > MOST_LINES {
            return Err(TemplateError::TooLong(invoice.lines.len()));
        }
        let view = InvoiceView::of(invoice).map_err(TemplateError::Invoice)?;
        let own = |picture| Some(picture).filter(|_| view.has_mark);
        let context = Context { view: &view, mark: own(self.mark.as_str()), logo: self.logo.as_deref().and_then(own) };
        Ok(self.registry.render("invoice", &context)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::document::model::{Kind, Letterhead, Place, postal_lines};
    use crate::document::theme::Logo;

    const HOSTILE: &str = "<script>alert(1)</script><img src=\"file:///etc/passwd\">'}}{{number}}</style>";

    fn sample() -> Invoice {
        serde_json::from_str(SPECIMEN).unwrap()
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
        let mut value: serde_json::Value = serde_json::from_str(SPECIMEN).unwrap();
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
        assert_eq!(page.matches("<html lang=\"en\" dir=\"ltr\">").count(), 1, "a hostile locale reads English");
    }

    #[test]
    fn marks_that_turn_the_writing_are_taken_out() {
        let mut invoice = sample();
        invoice.lines[0].name = "Lamp \u{202e}00,1\u{0} \u{2066}".to_owned();
        assert!(html(&invoice).contains("<b class=\"strong\" dir=\"ltr\">Lamp 00,1</b>"));
    }

    #[test]
    fn the_german_page_says_it_in_german() {
        let page = html(&sample());
        for text in [
            "<html lang=\"de-DE\" dir=\"ltr\">",
            "<title>Rechnung WEB-2026-000042</title>",
            "20.11.2026",
            "20.12.2026",
            "251,42\u{a0}€",
            "189,70\u{a0}€",
            "19\u{a0}%",
            "49,90",
            "FRANKREICH",
            "Art.-Nr. LMP-1",
            "1,5</td>",
            "2<span class=\"rest\">,0</span>",
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
            ("ar-AE", "فاتورة", "المبلغ المستحق", "251.42\u{a0}€"),
            ("ja-JP", "請求書", "ご請求金額", "€251.42"),
            ("zh-CN", "发票", "应付金额", "€251.42"),
        ] {
            let page = html(&Invoice { locale: locale.to_owned(), ..sample() });
            for text in
                [format!("<h1 class=\"strong\">{heading} <span>"), format!("{due}</th>"), format!("{total}</td>")]
            {
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
    fn a_sellers_logo_and_colors_take_the_place_of_the_shops() {
        let logo = Some(Logo::new(b"<svg/>").unwrap());
        let theme = Theme { brand: "#ffd400".parse().unwrap(), logo, ..Theme::default() };
        let templates = Templates::themed(&theme).unwrap();
        let page = templates.html(&sample()).unwrap();
        assert!(page.contains("<img class=\"brand-logo\" src=\"data:image/svg+xml;base64,PHN2Zy8+\" alt=\"Argosy"));
        assert!(page.contains("background: #ffd400") && page.contains("color: #1b2733; padding-top"));
        assert!(!page.contains("var(") && !page.contains("#12304f"));
        let others = templates.html(&Invoice { letterhead: Letterhead::Plain, ..sample() }).unwrap();
        assert!(!others.contains("<img"), "whose invoice it is not, whose logo it has not");
    }

    #[test]
    fn a_page_from_right_to_left_says_the_direction_of_each_text() {
        let mut invoice = Invoice { locale: "ar".to_owned(), ..sample() };
        invoice.buyer.name = "أتيليه الجنوب".to_owned();
        let page = html(&invoice);
        assert!(page.contains("<html lang=\"ar\" dir=\"rtl\">"));
        assert!(page.contains("<b class=\"strong\" dir=\"rtl\">أتيليه الجنوب</b>"));
        assert!(page.contains("<bdi dir=\"ltr\">12 rue de la Paix</bdi>"));
    }

    #[test]
    fn more_lines_than_can_be_printed_are_refused_with_both_figures() {
        let mut invoice = sample();
        invoice.lines = vec![invoice.lines[0].clone(); MOST_LINES + 1];
        let problem = Templates::new().unwrap().html(&invoice).unwrap_err().to_string();
        assert!(problem.contains("2001 lines, of which 2000"), "{problem}");
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
