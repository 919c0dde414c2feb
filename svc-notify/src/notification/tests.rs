//! Every mail in every language, as people get it. With `MAIL_PREVIEW=<directory>` the pages are written there, to be
//! looked at in a browser.

use std::path::Path;

use nats::{
    contracts::order::{CancelReason, OrderDetails, OrderLine},
    types::{Address, Currency, Locale, Money, OrderId, Quantity, TaxCategory, UserId, format_locale},
};
use serde_json::json;

use super::{
    account_mail::AccountMailData,
    company_invitation::InvitationMailData,
    invoice::InvoiceMailData,
    order_canceled::CanceledMail,
    order_mail::{OrderMail, Reader},
    welcome::Welcome,
};
use crate::mail::{Mail, Template, Templates, language::Language, text};

fn templates() -> Templates {
    Templates::load("https://shop.example/".parse().unwrap()).unwrap()
}

fn euro(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

fn order(article: &str, name: &str) -> OrderDetails {
    let line = |name: &str, sku: &str, quantity: i64, cents: i64| OrderLine {
        sku: sku.parse().unwrap(),
        name: name.to_owned(),
        quantity: Quantity::new(quantity).unwrap(),
        unit_price: euro(cents),
        tax_category: TaxCategory::Standard,
        tax_rate: "19".to_owned(),
        net: euro(cents * quantity),
    };
    let address: Address = serde_json::from_value(json!({
        "name": name, "company": "Kontor & Söhne GmbH", "line1": "Speicherstadt 4", "city": "Hamburg", "postal_code": "20457",
        "country": "DE", "phone": "+49 40 1234567"
    }))
    .unwrap();
    OrderDetails {
        order_id: OrderId::new(),
        number: "A-100023".to_owned(),
        user_id: UserId::new(),
        email: "ada@example.com".parse().unwrap(),
        placed_at: "2026-11-20T12:00:00Z".parse().unwrap(),
        shipping_address: address,
        lines: vec![
            line(article, "LMP-ARC-BRS", 2, 12_900),
            line("Oak shelf board, oiled, 120 × 25 cm, with concealed brackets", "SHF-OAK-120", 1, 7_450),
            line("Linen tea towel", "TWL-LIN-NAT", 12, 890),
        ],
        shipping: euro(490),
        shipping_tax_category: TaxCategory::Standard,
        shipping_tax_rate: "19".to_owned(),
        tax_total: euro(8_440),
        total: euro(52_860),
        company: None,
    }
}

/// Every mail in this locale, made of these words of people.
fn mails(templates: &Templates, locale: &str, article: &str, name: &str) -> Vec<(Template, Mail)> {
    let locale: Locale = locale.parse().unwrap();
    let words = templates.words(Language::nearest(&locale)).unwrap();
    let reader = Reader { name: text::name(name), locale: locale.clone(), wants_mail: true };
    let order = || OrderMail::write(&order(article, name), &reader, words).unwrap();
    let invoice = InvoiceMailData {
        name: text::name(name),
        number: "WEB-2026-000042".to_owned(),
        order_number: Some("A-100023".to_owned()),
        total: format_locale(&euro(52_860), locale.as_str()),
        document_url: templates
            .public_url()
            .at("/v1/invoices/inv_01h455vb4pex5vsknk084sn02q/documents/pdf?token=a&b=c"),
    };
    let account = |template, page: &str| {
        let link_url = templates.public_url().at(&format!("{page}#token=abc-_1"));
        templates.render(template, &locale, &AccountMailData { name: text::name(name), link_url })
    };
    let invitation = InvitationMailData {
        name: text::name(name),
        company: text::name("Kontor & Söhne GmbH"),
        inviter: text::name("Grace Hopper"),
        link_url: templates.public_url().at("/company-invitation#token=abc-_1"),
    };
    let render = |template, mail: Result<Mail, _>| -> (Template, Mail) { (template, mail.unwrap()) };
    vec![
        render(Template::Welcome, templates.render(Template::Welcome, &locale, &Welcome { name: text::name(name) })),
        render(Template::EmailVerification, account(Template::EmailVerification, "/verify-email")),
        render(Template::PasswordReset, account(Template::PasswordReset, "/password-reset")),
        render(Template::CompanyInvitation, templates.render(Template::CompanyInvitation, &locale, &invitation)),
        render(Template::OrderConfirmed, templates.render(Template::OrderConfirmed, &locale, &order())),
        render(
            Template::OrderCanceled,
            templates.render(Template::OrderCanceled, &locale, &CanceledMail::of(order(), CancelReason::PaymentFailed)),
        ),
        render(Template::Invoice, templates.render(Template::Invoice, &locale, &invoice)),
    ]
}

#[test]
fn every_mail_renders_in_every_language() {
    let templates = templates();
    for language in ["en", "de-DE"] {
        let mails = mails(&templates, language, "Arc desk lamp, brass", "Ada Lovelace");
        assert_eq!(mails.len(), Template::ALL.len());
        for (template, mail) in &mails {
            let name = format!("{}.{language}", template.name());
            assert!(!mail.subject.is_empty() && mail.text.len() > 100, "{name}: {mail:?}");
            assert!(mail.html.contains("Ada Lovelace") && mail.text.contains("Ada Lovelace"), "{name} greets nobody");
            for body in [&mail.html, &mail.text] {
                assert!(!body.contains("{{") && !body.contains("}}"), "{name} has a placeholder left: {body}");
            }
            assert!(!mail.html.contains("<img"), "{name} loads something from afar");
            if let Ok(directory) = std::env::var("MAIL_PREVIEW") {
                std::fs::write(Path::new(&directory).join(format!("{name}.html")), &mail.html).unwrap();
                std::fs::write(Path::new(&directory).join(format!("{name}.txt")), &mail.text).unwrap();
            }
        }
    }
}

#[test]
fn a_mail_says_what_its_reader_needs() {
    let templates = templates();
    let mails = mails(&templates, "de-DE", "Tischlampe", "Ada Lovelace");
    let said = |wanted: Template| {
        let (_, mail) = mails.iter().find(|(template, _)| *template == wanted).unwrap();
        (mail.subject.clone(), mail.html.clone(), mail.text.clone())
    };
    let expected: [(Template, &str, &[&str]); 7] = [
        (Template::Welcome, "Willkommen bei Argosy, Ada Lovelace", &["https://shop.example/"]),
        (Template::EmailVerification, "Bitte bestätigen Sie Ihre E-Mail-Adresse", &["24 Stunden", "Argosy"]),
        (
            Template::PasswordReset,
            "Neues Passwort festlegen",
            &["eine Stunde", "überall abgemeldet", "Sie waren es nicht?"],
        ),
        (
            Template::CompanyInvitation,
            "Einladung zu Kontor & Söhne GmbH",
            &["Grace Hopper lädt Sie ein", "sieben Tage", "Sie haben noch kein Konto?"],
        ),
        (
            Template::OrderConfirmed,
            "Bestellung A-100023 ist bestätigt",
            &[
                "Tischlampe",
                "129,00\u{a0}€",
                "258,00\u{a0}€",
                "439,30\u{a0}€",
                "4,90\u{a0}€",
                "84,40\u{a0}€",
                "528,60\u{a0}€",
                "20. November 2026",
                "20457 Hamburg",
                "Deutschland",
            ],
        ),
        (
            Template::OrderCanceled,
            "Bestellung A-100023 ist storniert",
            &["Ihre Zahlung wurde abgelehnt", "Es wurde nichts abgebucht.", "Tischlampe"],
        ),
        (Template::Invoice, "Ihre Rechnung WEB-2026-000042", &["528,60\u{a0}€", "A-100023", "30 Tage"]),
    ];
    for (template, subject, sentences) in expected {
        let (got, html, text) = said(template);
        assert_eq!(got, subject);
        for sentence in sentences {
            assert!(text.contains(sentence), "{}: the text lacks {sentence:?}: {text}", template.name());
            assert!(html.contains(sentence), "{}: the page lacks {sentence:?}", template.name());
        }
    }
    let (_, html, text) = said(Template::Invoice);
    let link = "https://shop.example/v1/invoices/inv_01h455vb4pex5vsknk084sn02q/documents/pdf?token=a&b=c";
    assert!(text.contains(link), "{text}");
    // As an attribute of HTML, the same address.
    let attribute = link.replace('&', "&amp;").replace('=', "&#x3D;");
    assert!(html.contains(&format!("href=\"{attribute}\"")), "{html}");
    let (_, html, text) = said(Template::PasswordReset);
    assert!(text.contains("https://shop.example/password-reset#token=abc-_1"), "{text}");
    assert!(html.contains("href=\"https://shop.example/password-reset#token&#x3D;abc-_1\""), "{html}");
    assert!(!said(Template::OrderConfirmed).1.contains("1234567"), "a mail shows the telephone number");
}

#[test]
fn each_reason_to_cancel_has_its_sentence() {
    let templates = templates();
    let locale: Locale = "en".parse().unwrap();
    let reader = Reader { name: None, locale: locale.clone(), wants_mail: true };
    let words = templates.words(Language::English).unwrap();
    for (reason, why, money) in [
        (CancelReason::PaymentFailed, "Your payment was declined", "Nothing was charged."),
        (CancelReason::PaymentTimeout, "did not reach us in time", "you get it back"),
        (CancelReason::OutOfStock, "sold out", "you get it back"),
        (CancelReason::Customer, "As you asked", "you get it back"),
        (CancelReason::Staff, "We are sorry", "you get it back"),
    ] {
        let order = OrderMail::write(&order("Lamp", "Ada"), &reader, words).unwrap();
        let mail = templates.render(Template::OrderCanceled, &locale, &CanceledMail::of(order, reason)).unwrap();
        assert!(mail.text.starts_with("ARGOSY\n\nYour order is canceled\n\nHello,\n\n"), "{}", mail.text);
        assert!(mail.text.contains(why) && mail.text.contains(money), "{reason:?}: {}", mail.text);
    }
}

#[test]
fn what_people_write_stays_text() {
    let templates = templates();
    let evil = "<b onclick=\"x()\">Eve</b>";
    for locale in ["en", "de"] {
        for (template, mail) in mails(&templates, locale, "<script>alert(1)</script> {{total}}", evil) {
            assert!(!mail.html.contains("<script") && !mail.html.contains("<b "), "{} is not escaped", template.name());
            assert!(!mail.subject.contains(['\r', '\n']), "{:?}", mail.subject);
        }
    }
    let named = |name: &str| {
        templates.render(Template::Welcome, &Locale::default(), &Welcome { name: text::name(name) }).unwrap()
    };
    let mail = named("Eve\r\nBcc: all@example");
    assert_eq!(mail.subject, "Welcome to Argosy", "what has an @ is no name");
    let mail = named("Eve\r\nBcc: all");
    assert_eq!(mail.subject, "Welcome to Argosy, Eve Bcc: all");
    let mail = named("Win at https://spam.example");
    assert!(!mail.html.contains("spam") && !mail.text.contains("spam"), "an advertisement was sent");
}
