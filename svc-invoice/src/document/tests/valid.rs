//! E-invoices against the official schemas and the rules of EN 16931.

use std::path::Path;

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use serde_json::{Value, json};
use stack::{scratch::Scratch, validators};

use super::{any::any_invoice, samples};
use crate::{
    document::{cii, ubl},
    invoice::{codes, page::given::figures},
};

/// How many random invoices are looked at.
const RANDOM: usize = 60;

/// Writes both notations of the invoice.
fn write(folder: &Path, name: &str, upload: &Value) {
    let figures = figures(upload).unwrap_or_else(|problem| panic!("{name}: {problem:?}"));
    std::fs::write(folder.join(format!("{name}.ubl.xml")), ubl(&figures).unwrap()).unwrap();
    std::fs::write(folder.join(format!("{name}.cii.xml")), cii(&figures).unwrap()).unwrap();
}

/// All documents in the folder are valid.
fn check(folder: &Path, count: usize) {
    let verdicts = validators::look_at(folder).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(verdicts.len(), count);
    let wrong: Vec<String> = verdicts
        .iter()
        .filter(|(_, verdict)| !verdict.failures.is_empty())
        .map(|(name, verdict)| format!("{name}: {:#?}", verdict.failures))
        .collect();
    assert!(wrong.is_empty(), "{} of {count} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_category_and_kind_is_valid() {
    let folder = Scratch::new("samples").unwrap();
    let samples = samples::all();
    for (index, (_, upload)) in samples.iter().enumerate() {
        write(folder.path(), &format!("{index:02}"), upload);
    }
    check(folder.path(), 2 * samples.len());
}

#[test]
fn random_invoices_are_valid() {
    let folder = Scratch::new("random").unwrap();
    let mut runner = TestRunner::deterministic();
    let invoices = any_invoice().prop_filter("an e-invoice that is accepted", |upload| {
        upload["formats"].as_array().unwrap().contains(&json!("ubl")) && figures(upload).is_ok()
    });
    for index in 0..RANDOM {
        let upload = invoices.new_tree(&mut runner).unwrap().current();
        write(folder.path(), &format!("{index:02}"), &upload);
    }
    check(folder.path(), 2 * RANDOM);
}

#[test]
fn every_currency_and_country_that_is_accepted_is_valid() {
    let folder = Scratch::new("codes").unwrap();
    let mut count = 0;
    let alphabet = |length: u32| {
        (0..26_u32.pow(length)).map(move |number| {
            let place = |place: u32| char::from_u32(u32::from(b'A') + number / 26_u32.pow(place) % 26).unwrap();
            (0..length).map(place).collect::<String>()
        })
    };
    let one = || vec![samples::line("1", "100", "S", "19")];
    let (listed, unlisted): (Vec<_>, Vec<_>) = alphabet(3)
        .filter_map(|code| code.parse::<nats::types::Currency>().ok())
        .partition(|currency| codes::unfit_for_e_invoices(*currency).is_none());
    for currency in unlisted {
        let mut upload = samples::invoice(samples::party("Buyer", None, "FR"), one());
        upload["currency"] = json!(currency.code());
        assert!(figures(&upload).is_err(), "{currency}");
    }
    let countries = alphabet(2).filter_map(|code| code.parse::<nats::types::CountryCode>().ok());
    // There are more countries than currencies: each currency comes at least once.
    for (country, currency) in countries.zip(listed.iter().cycle()) {
        let mut upload = samples::invoice(samples::party("Buyer", None, country.as_str()), one());
        upload["currency"] = json!(currency.code());
        write(folder.path(), &format!("{country}-{currency}"), &upload);
        count += 1;
    }
    assert!(count > 200 && count > listed.len(), "{count}");
    check(folder.path(), 2 * count);
}

#[test]
fn every_code_that_is_accepted_is_valid() {
    let folder = Scratch::new("more-codes").unwrap();
    let mut count = 0;
    let invoice = |lines| samples::invoice(samples::party("Buyer", None, "FR"), lines);
    let [units, exemptions] = codes::all();
    for (index, units) in units.chunks(1000).enumerate() {
        let line = |unit: &&str| {
            let mut line = samples::line("1", "1", "S", "19");
            line["unit"] = json!(unit);
            line
        };
        write(folder.path(), &format!("units-{index}"), &invoice(units.iter().map(line).collect()));
        count += 2;
    }
    let means = (1..=99).map(|code: u8| code.to_string()).chain(["ZZZ".to_owned()]);
    let (listed, unlisted): (Vec<_>, Vec<_>) = means.partition(|code| codes::is_payment_means(code));
    for code in unlisted {
        let mut upload = invoice(vec![samples::line("1", "1", "S", "19")]);
        upload["payment_means"]["code"] = json!(code);
        assert!(figures(&upload).is_err(), "{code}");
    }
    assert!(exemptions.len() >= listed.len(), "each of both comes at least once");
    for (exemption, means) in exemptions.iter().zip(listed.iter().cycle()) {
        let mut upload = invoice(vec![samples::line("1", "1", "E", "0")]);
        upload["exemptions"] = json!([{"tax_category": "E", "code": exemption}]);
        upload["payment_means"]["code"] = json!(means);
        write(folder.path(), &format!("{exemption}-{means}"), &upload);
        count += 2;
    }
    check(folder.path(), count);
}

#[test]
fn the_validators_find_what_is_wrong() {
    let folder = Scratch::new("wrong").unwrap();
    let (_, upload) = samples::all().swap_remove(0);
    let figures = figures(&upload).unwrap();
    let wrong_total = |mut xml: Vec<u8>, from: &str, to: &str| {
        let text = String::from_utf8(std::mem::take(&mut xml)).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        text.replacen(from, to, 1)
    };
    let (ubl, cii) = (ubl(&figures).unwrap(), cii(&figures).unwrap());
    let gross = figures.totals.gross.major().unwrap().to_string();
    for (name, text) in [
        ("total.ubl", wrong_total(ubl.clone(), &format!("\">{gross}</cbc:TaxInclusive"), "\">1.00</cbc:TaxInclusive")),
        ("total.cii", wrong_total(cii, &format!(">{gross}</ram:Grand"), ">1.00</ram:Grand")),
        ("order.ubl", wrong_total(ubl, "<cbc:ID>WEB-2026-000001</cbc:ID>", "")),
    ] {
        std::fs::write(folder.path().join(format!("{name}.xml")), text).unwrap();
    }
    let verdicts = validators::look_at(folder.path()).unwrap();
    let told = |name: &str, what: &str| {
        let failures = &verdicts[&format!("{name}.xml")].failures;
        assert!(failures.iter().any(|failure| failure.contains(what)), "{name}: {failures:?}");
    };
    told("total.ubl", "BR-CO-15");
    told("total.cii", "BR-CO-15");
    told("order.ubl", "IssueDate");
}
