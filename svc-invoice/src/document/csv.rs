//! The invoice as comma separated values (RFC 4180), for programs and for whoever opens them in a spreadsheet.
//!
//! One table; `record` says what a row is:
//!
//! | record | its figures |
//! |---|---|
//! | `line` | what was sold; `allowance` and `charge` are sums of the line's own, `net` is what it comes to |
//! | `allowance`, `charge` | on the whole invoice; `name` is the reason, `net` the amount, above zero in both cases |
//! | `tax` | a category and rate: `net` is taxed, `tax` the tax on it |
//! | `total` | `net` without tax, `tax`, `gross` with tax |
//! | `paid`, `due` | `gross` has been paid, is left to pay |
//!
//! Numbers have a decimal point and no grouping, dates are ISO 8601, whatever the language of the invoice.
//!
//! The trap: a spreadsheet takes a text that begins with `=` for a formula and runs it. Each text from outside that begins
//! as a formula does gets an apostrophe before it (OWASP, CSV injection); numbers are our own and have no sign.

use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};
use rust_decimal::Decimal;

use super::file_error::FileError;
use super::model::{Adjustment, Amount, Invoice, Line};
use super::view::ViewError;
use super::written::clean;
use super::xml::{major, plain};

const COLUMNS: [&str; 19] = [
    "record",
    "invoice",
    "issue_date",
    "currency",
    "position",
    "sku",
    "name",
    "description",
    "quantity",
    "unit",
    "unit_price",
    "price_base_quantity",
    "allowance",
    "charge",
    "tax_category",
    "tax_rate",
    "net",
    "tax",
    "gross",
];

/// A row, as far as it is filled.
#[derive(Default)]
struct Row {
    record: &'static str,
    position: String,
    sku: String,
    name: String,
    description: String,
    quantity: String,
    unit: String,
    unit_price: String,
    price_base_quantity: String,
    allowance: String,
    charge: String,
    tax_category: String,
    tax_rate: String,
    net: String,
    tax: String,
    gross: String,
}

/// The invoice as a table in UTF-8, with a header.
///
/// # Errors
/// A quantity, price or rate that is no decimal number.
pub fn csv(invoice: &Invoice) -> Result<Vec<u8>, FileError> {
    let mut table = Table::new(invoice)?;
    for (index, line) in invoice.lines.iter().enumerate() {
        table.write(of_line(index, line)?)?;
    }
    for (record, items) in [("allowance", &invoice.allowances), ("charge", &invoice.charges)] {
        for (index, item) in items.iter().enumerate() {
            table.write(of_adjustment(record, index, item)?)?;
        }
    }
    for (index, group) in invoice.taxes.iter().enumerate() {
        let at = |field: &str| format!("/taxes/{index}/{field}");
        table.write(Row {
            record: "tax",
            tax_category: group.category.clone(),
            tax_rate: plain(&group.rate, || at("rate"))?,
            net: figure(&group.basis, || at("basis"))?,
            tax: figure(&group.tax, || at("tax"))?,
            ..Row::default()
        })?;
    }
    let totals = &invoice.totals;
    table.write(Row {
        record: "total",
        net: figure(&totals.net, || "/totals/net".to_owned())?,
        tax: figure(&totals.tax, || "/totals/tax".to_owned())?,
        gross: figure(&totals.gross, || "/totals/gross".to_owned())?,
        ..Row::default()
    })?;
    if let Some(paid) = &totals.prepaid {
        let gross = figure(paid, || "/totals/prepaid".to_owned())?;
        table.write(Row { record: "paid", gross, ..Row::default() })?;
    }
    let gross = figure(&totals.due, || "/totals/due".to_owned())?;
    table.write(Row { record: "due", gross, ..Row::default() })?;
    table.finish()
}

fn of_line(index: usize, line: &Line) -> Result<Row, FileError> {
    let at = |field: &str| format!("/lines/{index}/{field}");
    let base = line.price_base_quantity.as_deref().unwrap_or("1");
    Ok(Row {
        record: "line",
        position: index.saturating_add(1).to_string(),
        sku: text(line.sku.as_deref().unwrap_or_default()),
        name: text(&line.name),
        description: text(line.description.as_deref().unwrap_or_default()),
        quantity: plain(&line.quantity, || at("quantity"))?,
        unit: text(&line.unit),
        unit_price: plain(&line.unit_price, || at("unit_price"))?,
        price_base_quantity: plain(base, || at("price_base_quantity"))?,
        allowance: sum(&line.allowances, || at("allowances"))?,
        charge: sum(&line.charges, || at("charges"))?,
        tax_category: line.tax_category.clone(),
        tax_rate: plain(&line.tax_rate, || at("tax_rate"))?,
        net: figure(&line.net, || at("net"))?,
        ..Row::default()
    })
}

fn of_adjustment(record: &'static str, index: usize, item: &Adjustment) -> Result<Row, FileError> {
    let at = |field: &str| format!("/{record}s/{index}/{field}");
    let (tax_category, tax_rate) = match &item.tax {
        Some(tax) => (tax.category.clone(), plain(&tax.rate, || at("tax_rate"))?),
        None => Default::default(),
    };
    Ok(Row {
        record,
        name: text(item.reason.as_deref().unwrap_or_default()),
        tax_category,
        tax_rate,
        net: figure(&item.amount, || at("amount"))?,
        ..Row::default()
    })
}

/// The sum of a line's allowances or charges; nothing when it has none.
fn sum(items: &[Adjustment], at: impl Fn() -> String) -> Result<String, FileError> {
    let mut sum: Option<Decimal> = None;
    for item in items {
        let too_large = || ViewError { pointer: at(), value: format!("{:?}", item.amount) };
        let amount = major(&item.amount, &at)?;
        sum = Some(sum.unwrap_or_default().checked_add(amount).ok_or_else(too_large)?);
    }
    Ok(sum.map(|sum| sum.to_string()).unwrap_or_default())
}

fn figure(amount: &Amount, at: impl FnOnce() -> String) -> Result<String, FileError> {
    Ok(major(amount, at)?.to_string())
}

/// A text from outside, which no spreadsheet takes for a formula.
fn text(value: &str) -> String {
    let value = clean(value);
    // Some programs look past blanks, some past quotation marks, and some read the signs of East Asian full width.
    let first =
        value.trim_start_matches(|sign: char| sign.is_whitespace() || matches!(sign, '"' | '\'')).chars().next();
    match first {
        Some('=' | '+' | '-' | '@' | '|' | '%' | '＝' | '＋' | '－' | '＠') => format!("'{value}"),
        _ => value,
    }
}

/// The table being written.
struct Table {
    writer: Writer<Vec<u8>>,
    /// What is the same in every row.
    fixed: [String; 3],
}

impl Table {
    fn new(invoice: &Invoice) -> Result<Self, FileError> {
        // Every cell in quotation marks: no text can end one.
        let mut writer =
            WriterBuilder::new().quote_style(QuoteStyle::Always).terminator(Terminator::CRLF).from_writer(Vec::new());
        writer.write_record(COLUMNS)?;
        let currency = text(&invoice.totals.due.currency);
        Ok(Self { writer, fixed: [text(&invoice.number), invoice.issue_date.to_string(), currency] })
    }

    fn write(&mut self, row: Row) -> Result<(), FileError> {
        let [invoice, issue_date, currency] = &self.fixed;
        let cells: [&str; 19] = [
            row.record,
            invoice,
            issue_date,
            currency,
            &row.position,
            &row.sku,
            &row.name,
            &row.description,
            &row.quantity,
            &row.unit,
            &row.unit_price,
            &row.price_base_quantity,
            &row.allowance,
            &row.charge,
            &row.tax_category,
            &row.tax_rate,
            &row.net,
            &row.tax,
            &row.gross,
        ];
        Ok(self.writer.write_record(cells)?)
    }

    fn finish(self) -> Result<Vec<u8>, FileError> {
        Ok(self.writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?)
    }
}

impl From<csv::Error> for FileError {
    fn from(error: csv::Error) -> Self {
        Self::Write(error.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn sample() -> Invoice {
        serde_json::from_str(include_str!("../../templates/sample/invoice.json")).unwrap()
    }

    fn rows(bytes: &[u8]) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn a_text_that_begins_as_a_formula_does_is_made_a_text() {
        for (value, expected) in [
            ("=1+1", "'=1+1"),
            ("+49 40 1", "'+49 40 1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'=1"),
            ("  =1", "'=1"),
            ("\u{a0}=1", "'=1"),
            ("\"=1", "'\"=1"),
            ("'=1", "''=1"),
            ("＝1", "'＝1"),
            ("\r\n=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("|cmd", "'|cmd"),
            ("Lamp = light", "Lamp = light"),
            ("1-2", "1-2"),
            ("", ""),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn no_cell_of_a_hostile_invoice_begins_a_formula_and_none_runs_into_the_next() {
        let hostile = "=HYPERLINK(\"http://x\"),\"a\"\r\n=1";
        let mut invoice = sample();
        invoice.number = hostile.to_owned();
        for line in &mut invoice.lines {
            line.name = hostile.to_owned();
            line.sku = Some("@x".to_owned());
            line.description = Some("-2+3".to_owned());
        }
        invoice.charges[0].reason = Some("+1".to_owned());
        let bytes = csv(&invoice).unwrap();
        let rows = rows(&bytes);
        for row in &rows {
            assert_eq!(row.len(), COLUMNS.len(), "{row:?}");
            for cell in row {
                assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{cell}");
            }
        }
        assert_eq!(rows[1][6], "'=HYPERLINK(\"http://x\"),\"a\"\n=1", "what it says is kept");
    }

    #[test]
    fn lines_end_as_in_rfc_4180_and_the_totals_are_there() {
        let bytes = csv(&sample()).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.starts_with("\"record\",\"invoice\",") && text.ends_with("\r\n"), "{text}");
        let rows = rows(&bytes);
        let row = |record: &str| rows.iter().find(|row| row[0] == record).unwrap();
        assert_eq!(row("total")[16..], ["213.70", "37.72", "251.42"]);
        assert_eq!(row("due")[18], "251.42");
    }
}
