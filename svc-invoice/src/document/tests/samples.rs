//! Invoices of each tax category and several countries, as they are uploaded.

use serde_json::{Value, json};

pub(super) fn party(name: &str, vat_id: Option<&str>, country: &str) -> Value {
    let mut party = json!({
        "name": name,
        "email": "office@example.com",
        "address": {"line1": "High Street 1", "line2": "3rd floor", "city": "Town", "postal_code": "12345", "country": country},
    });
    if let Some(vat_id) = vat_id {
        party["vat_id"] = json!(vat_id);
    }
    party
}

pub(super) fn line(quantity: &str, price: &str, category: &str, rate: &str) -> Value {
    json!({
        "name": "Desk lamp", "sku": "LMP-1", "description": "Brass & oak <warm>", "quantity": quantity, "unit": "C62",
        "unit_price": price, "tax_category": category, "tax_rate": rate,
    })
}

/// An e-invoice from Germany to `buyer`, of these lines.
pub(super) fn invoice(buyer: Value, lines: Vec<Value>) -> Value {
    json!({
        "series": "WEB", "currency": "EUR", "issue_date": "2026-11-20", "due_date": "2026-12-20", "locale": "de-DE",
        "seller": party("Kontor GmbH", Some("DE123456789"), "DE"),
        "buyer": buyer,
        "lines": lines,
        "payment_means": {"code": "58", "iban": "DE02120300000000202051", "bic": "BYLADEM1001", "account_name": "Kontor"},
        "formats": ["pdf", "xlsx", "csv", "facturx", "ubl", "cii"],
    })
}

/// The invoice with these fields put in place of its own.
fn with(mut invoice: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        invoice[name] = value.clone();
    }
    invoice
}

/// Each with a word for what it shows.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    let german = || party("Buyer GmbH", Some("DE999999999"), "DE");
    let french = || party("Atelier Sud SARL", Some("FR12345678901"), "FR");
    let adjusted = with(
        invoice(
            german(),
            vec![line("2", "49.90", "S", "19"), line("1.5", "60", "S", "7"), line("3", "0.333", "S", "19")],
        ),
        json!({
            "allowances": [{"amount": "5.00", "reason": "Regular customer", "tax_category": "S", "tax_rate": "19"},
                           {"amount": "0.01", "tax_category": "S", "tax_rate": "7"}],
            "charges": [{"amount": "4.90", "reason": "Shipping", "tax_category": "S", "tax_rate": "19"}],
            "payment_terms": "30 days net\n2 % within 10 days", "note": "Thank you.\nCome again!",
            "order_reference": "PO-7", "buyer_reference": "04011000-12345-67", "delivery_date": "2026-11-19",
        }),
    );
    let mut of_lines = invoice(german(), vec![line("10", "9.99", "S", "19")]);
    of_lines["lines"][0]["allowances"] = json!([{"amount": "1.00", "reason": "Scratched"}, {"amount": "0.50"}]);
    of_lines["lines"][0]["charges"] = json!([{"amount": "2.35"}]);
    let mut per_hundred = invoice(german(), vec![line("250", "12.99", "S", "19")]);
    per_hundred["lines"][0]["price_base_quantity"] = json!("100");
    let exempt = with(
        invoice(german(), vec![line("1", "80", "E", "0"), line("1", "20", "S", "19")]),
        json!({"exemptions": [{"tax_category": "E", "reason": "Heilbehandlung, § 4 Nr. 14 UStG", "code": "VATEX-EU-132-1C"}]}),
    );
    let small = json!({
        "name": "Kleinunternehmer", "tax_number": "27/123/45678", "legal_id": "HRB 1234",
        "address": {"line1": "Weg 1", "city": "Ort", "country": "DE"},
    });
    let person = json!({"name": "Ada", "address": {"line1": "Weg 2", "city": "Ort", "country": "DE"}});
    let across = invoice(party("Wiener Laden", Some("ATU12345678"), "AT"), vec![line("7", "13.37", "K", "0")]);
    let elsewhere = json!({"name": "Lager Linz", "address": {"line1": "Kai 3", "city": "Linz", "country": "AT"}});
    let export = invoice(party("Lamp Inc.", None, "US"), vec![line("4", "25.25", "G", "0")]);
    let exporter = json!({
        "name": "Kontor GmbH", "contact": "Frau Hansen", "phone": "+49 40 1", "vat_id": "DE123456789", "tax_number": "27/1",
        "legal_id": "HRB 158210", "registration": "Amtsgericht Hamburg · Geschäftsführung: Ada Hansen",
        "address": {"line1": "Kai 1", "city": "Hamburg", "region": "Hamburg", "country": "DE"},
    });
    let hostile = "<b>&amp;\"'</b>]]><!-- --><?x?>=1+1 \u{202e}\u{fffe}";
    let mut strange = invoice(party(hostile, None, "DE"), vec![line("1", "1", "S", "19")]);
    strange["lines"][0]["name"] = json!("\u{202e}");
    strange["lines"][0]["description"] = json!(hostile);
    strange["note"] = json!(hostile);
    vec![
        ("S: allowances, charges, two rates", adjusted),
        ("S: allowances and charges of a line", of_lines),
        ("S: a price per hundred", per_hundred),
        (
            "S in a currency without decimals",
            with(
                invoice(party("Akari K.K.", None, "JP"), vec![line("3", "1299.5", "S", "10")]),
                json!({"currency": "JPY", "locale": "en-GB"}),
            ),
        ),
        ("S: a rate with a fraction", invoice(french(), vec![line("1", "99.99", "S", "5.5")])),
        ("S: nothing to pay", invoice(german(), vec![line("1", "0", "S", "19")])),
        (
            "Z in the United Kingdom",
            with(
                invoice(party("Books Ltd", None, "GB"), vec![line("2", "8.50", "Z", "0"), line("1", "12", "S", "20")]),
                json!({"currency": "GBP", "seller": party("Print Ltd", Some("GB123456789"), "GB"), "locale": "en-GB"}),
            ),
        ),
        ("E beside S", exempt),
        ("AE from Germany to France", invoice(french(), vec![line("1", "1000", "AE", "0")])),
        ("AE in Spanish", with(invoice(french(), vec![line("1", "10", "AE", "0")]), json!({"locale": "es-ES"}))),
        (
            "K from Germany to Austria, to another place",
            with(across.clone(), json!({"delivery_date": "2026-11-18", "ship_to": elsewhere})),
        ),
        (
            "K from Greece",
            with(
                across,
                json!({
                    "delivery_date": "2026-11-18", "seller": party("Lychnos", Some("EL123456789"), "GR"),
                }),
            ),
        ),
        ("G from Germany to the United States", with(export, json!({"currency": "USD", "seller": exporter}))),
        (
            "O",
            with(
                invoice(person.clone(), vec![line("1", "50", "O", "0")]),
                json!({"seller": small, "allowances": [{"amount": "1", "tax_category": "O", "tax_rate": "0"}]}),
            ),
        ),
        (
            "381: a credit note",
            with(
                invoice(german(), vec![line("1", "49.90", "S", "19")]),
                json!({"type": "381", "preceding_invoice": "WEB-2026-000000"}),
            ),
        ),
        ("381: without means of payment", {
            let mut invoice = with(invoice(person, vec![line("1", "49.90", "S", "19")]), json!({"type": "381"}));
            for field in ["payment_means", "due_date"] {
                invoice.as_object_mut().unwrap().remove(field);
            }
            invoice
        }),
        (
            "384: a corrected invoice",
            with(
                invoice(german(), vec![line("1", "49.90", "S", "19")]),
                json!({"type": "384", "preceding_invoice": "WEB-2026-000000"}),
            ),
        ),
        (
            "paid by card",
            with(
                invoice(german(), vec![line("1", "49.90", "S", "19")]),
                json!({"payment_means": {"code": "48", "reference": "X-1"}}),
            ),
        ),
        ("texts that are no harm", strange),
    ]
}
