//! What an invoice comes to, in each of its formats, read by programs that are not ours.

use std::collections::BTreeMap;

use ironcalc::{base::Model, import::load_from_xlsx_bytes};
use proptest::prelude::*;
use serde_json::Value;

use super::{any::any_invoice, samples};
use crate::{
    document::{Invoice, Templates, cii, csv, format::Conventions, model::Amount, ubl, view::InvoiceView, xlsx},
    invoice::page::given::figures,
};

/// Net, tax, gross, due: in major units, with the currency's digits.
type Totals = [String; 4];

fn major(amount: &Amount) -> String {
    amount.major().unwrap().to_string()
}

fn ours(invoice: &Invoice) -> Totals {
    let totals = &invoice.totals;
    [&totals.net, &totals.tax, &totals.gross, &totals.due].map(major)
}

/// The text of the first element of this name within the part of the document that `within` begins.
fn element(xml: &str, within: &str, name: &str) -> String {
    let part = xml.split_once(&format!("<{within}>")).unwrap_or_else(|| panic!("no {within} in {xml}")).1;
    let rest = part.split_once(&format!("<{name}")).unwrap_or_else(|| panic!("no {name} in {part}")).1;
    rest.split_once('>').unwrap().1.split_once('<').unwrap().0.to_owned()
}

fn of_ubl(invoice: &Invoice) -> Totals {
    let xml = String::from_utf8(ubl(invoice).unwrap()).unwrap();
    let total = |name: &str| element(&xml, "cac:LegalMonetaryTotal", name);
    let tax = element(&xml, "cac:TaxTotal", "cbc:TaxAmount");
    [total("cbc:TaxExclusiveAmount"), tax, total("cbc:TaxInclusiveAmount"), total("cbc:PayableAmount")]
}

fn of_cii(invoice: &Invoice) -> Totals {
    let xml = String::from_utf8(cii(invoice).unwrap()).unwrap();
    ["ram:TaxBasisTotalAmount", "ram:TaxTotalAmount", "ram:GrandTotalAmount", "ram:DuePayableAmount"]
        .map(|name| element(&xml, "ram:SpecifiedTradeSettlementHeaderMonetarySummation", name))
}

fn of_csv(invoice: &Invoice) -> Totals {
    let bytes = csv(invoice).unwrap();
    let mut reader = ::csv::Reader::from_reader(bytes.as_slice());
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    let row = |record: &str| rows.iter().find(|row| row["record"] == record).unwrap();
    let sum: i64 = rows.iter().filter(|row| row["record"] == "line").map(|row| minor(&row["net"])).sum();
    assert_eq!(sum, invoice.totals.lines.minor, "the lines");
    let total = row("total");
    [total["net"].clone(), total["tax"].clone(), total["gross"].clone(), row("due")["gross"].clone()]
}

fn minor(major: &str) -> i64 {
    major.replace('.', "").parse().unwrap()
}

/// The page writes amounts for its reader: their digits are compared.
fn of_page(invoice: &Invoice) -> i64 {
    let view = InvoiceView::of(invoice).unwrap();
    view.due.value.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// A spreadsheet read by another program, which shows what is stored until it computes itself.
struct Sheet {
    model: Model<'static>,
    digits: usize,
}

impl Sheet {
    fn of(invoice: &Invoice) -> Self {
        let workbook = load_from_xlsx_bytes(&xlsx(invoice).unwrap(), "invoice", "en", "UTC").unwrap();
        let model = Model::from_workbook(workbook, "en").unwrap();
        Self { model, digits: usize::from(invoice.totals.due.exponent) }
    }

    fn number(&self, row: i32, column: i32) -> Option<String> {
        use ironcalc::base::cell::CellValue;
        match self.model.get_cell_value_by_index(0, row, column).unwrap() {
            CellValue::Number(number) => Some(format!("{number:.0$}", self.digits)),
            _ => None,
        }
    }

    fn text(&self, row: i32, column: i32) -> String {
        self.model.get_formatted_cell_value(0, row, column).unwrap()
    }

    /// The amounts, from the first line's to the last.
    fn amounts(&self) -> Vec<String> {
        (1..200).filter_map(|row| self.number(row, 13)).collect()
    }

    /// The amount beside the last label that says so.
    fn labelled(&self, label: &str) -> String {
        let row = (1..200).rev().find(|row| self.text(*row, 12) == label).unwrap_or_else(|| panic!("no {label}"));
        self.number(row, 13).unwrap()
    }

    fn totals(&self, invoice: &Invoice) -> Totals {
        let labels = Conventions::of(&invoice.locale).labels();
        let due = match invoice.kind.code() {
            "381" => &labels.amount_credited,
            _ => &labels.amount_due,
        };
        [&labels.net_total, &labels.tax_total, &labels.gross_total, due].map(|label| self.labelled(label))
    }
}

fn all_say_the_same(invoice: &Invoice) {
    let ours = ours(invoice);
    assert_eq!(of_ubl(invoice), ours, "ubl");
    assert_eq!(of_cii(invoice), ours, "cii");
    assert_eq!(of_csv(invoice), ours, "csv");
    assert_eq!(of_page(invoice), minor(&ours[3]), "page");
    assert_eq!(Sheet::of(invoice).totals(invoice), ours, "xlsx");
}

/// What the rules of EN 16931 say of the figures (BR-CO-10 to 17), computed once more without the money engine.
fn add_up(invoice: &Invoice) {
    let totals = &invoice.totals;
    let sum = |amounts: &mut dyn Iterator<Item = &Amount>| amounts.map(|amount| amount.minor).sum::<i64>();
    assert_eq!(totals.lines.minor, sum(&mut invoice.lines.iter().map(|line| &line.net)));
    let allowances = sum(&mut invoice.allowances.iter().map(|item| &item.amount));
    let charges = sum(&mut invoice.charges.iter().map(|item| &item.amount));
    assert_eq!(totals.net.minor, totals.lines.minor - allowances + charges);
    assert_eq!(totals.tax.minor, sum(&mut invoice.taxes.iter().map(|group| &group.tax)));
    assert_eq!(totals.net.minor, sum(&mut invoice.taxes.iter().map(|group| &group.basis)));
    assert_eq!(totals.gross.minor, totals.net.minor + totals.tax.minor);
}

#[test]
fn the_formats_of_every_sample_say_the_same() {
    for (name, upload) in samples::all() {
        let figures = figures(&upload).unwrap_or_else(|problem| panic!("{name}: {problem:?}"));
        all_say_the_same(&figures);
    }
}

#[test]
fn a_spreadsheet_computes_what_the_money_engine_computed() {
    for (name, upload) in samples::all() {
        let figures = figures(&upload).unwrap();
        let mut sheet = Sheet::of(&figures);
        let stored = sheet.amounts();
        assert!(stored.len() >= figures.lines.len() + 5, "{name}: {stored:?}");
        sheet.model.evaluate();
        assert_eq!(sheet.amounts(), stored, "{name}");
        assert_eq!(sheet.totals(&figures), ours(&figures), "{name}");
    }
}

#[test]
fn a_changed_quantity_changes_the_amount_due() {
    let upload = samples::invoice(samples::party("Buyer", None, "FR"), vec![samples::line("2", "50", "S", "20")]);
    let figures = figures(&upload).unwrap();
    let mut sheet = Sheet::of(&figures);
    let row = (1..200).find(|row| sheet.text(*row, 2) == "LMP-1").unwrap();
    sheet.model.set_user_input(0, row, 5, "3".to_owned()).unwrap();
    sheet.model.evaluate();
    assert_eq!(sheet.totals(&figures), ["150.00", "30.00", "180.00", "180.00"]);
}

#[test]
fn no_text_is_a_formula() {
    let mut upload = samples::invoice(samples::party("=1+1", None, "FR"), vec![samples::line("1", "1", "S", "20")]);
    upload["lines"][0]["name"] = Value::from("=HYPERLINK(\"http://x\")");
    upload["note"] = Value::from("=1+1");
    let mut sheet = Sheet::of(&figures(&upload).unwrap());
    sheet.model.evaluate();
    let texts: Vec<String> = (1..60).map(|row| sheet.text(row, 3)).filter(|text| text.starts_with('=')).collect();
    assert_eq!(texts, ["=1+1", "=HYPERLINK(\"http://x\")", "=1+1"]);
}

#[test]
fn a_price_per_hundred_says_so_on_the_page() {
    let mut upload =
        samples::invoice(samples::party("Buyer", None, "FR"), vec![samples::line("250", "12.99", "S", "19")]);
    upload["lines"][0]["price_base_quantity"] = Value::from("100.0");
    let figures = figures(&upload).unwrap();
    assert_eq!(figures.lines[0].net.minor, 3248, "250 × 12.99 ÷ 100");
    let html = Templates::new().unwrap().html(&figures).unwrap();
    assert!(html.contains("/\u{a0}100\u{a0}"), "{html}");
}

#[test]
fn the_same_invoice_is_the_same_file() {
    let (_, upload) = samples::all().swap_remove(0);
    let figures = figures(&upload).unwrap();
    for write in [xlsx, csv, ubl, cii] {
        assert_eq!(write(&figures).unwrap(), write(&figures).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn all_formats_of_any_invoice_say_the_same(upload in any_invoice()) {
        if let Ok(figures) = figures(&upload) {
            add_up(&figures);
            all_say_the_same(&figures);
        }
    }
}
