//! The invoice as a spreadsheet: numbers that are numbers, dates that are dates, and sums that compute.
//!
//! A line's net amount, the sums, the tax and the amount due are formulas; beside each stands what the money engine made
//! of it, which programs show until they compute themselves. Columns:
//!
//! | A | B | C | D | E | F | G | H | I | J | K | L | M |
//! |---|---|---|---|---|---|---|---|---|---|---|---|---|
//! | position | article | name | description | quantity | unit | price | for so many | allowances | charges, taxable | tax category | rate | amount |
//!
//! The trap: a cell that is written as a formula is run. Texts from outside are written as strings and as nothing else,
//! so that `=1+1` in a name stays a name.

mod lines;
mod sheet;
mod sums;

use rust_xlsxwriter::{DocProperties, Workbook};

use self::sheet::{NAME, POSITION, Sheet, day};
use super::file_error::FileError;
use super::format::Conventions;
use super::model::{Invoice, Kind, Party};
use super::written::{clean, text};

/// The invoice as a workbook with one sheet.
///
/// # Errors
/// A quantity, price or rate that is no decimal number.
pub fn xlsx(invoice: &Invoice) -> Result<Vec<u8>, FileError> {
    let write = Conventions::of(&invoice.locale);
    let labels = write.labels();
    let heading = match invoice.kind {
        Kind::Invoice => &labels.invoice,
        Kind::CreditNote => &labels.credit_note,
        Kind::Corrected => &labels.corrected_invoice,
    };
    let title = format!("{heading} {}", clean(&invoice.number));
    let mut workbook = Workbook::new();
    // A day of its own, or the same invoice would be another file tomorrow.
    let properties = DocProperties::new().set_title(&title).set_author(clean(&invoice.seller.name));
    workbook.set_properties(&properties.set_creation_datetime(&day(invoice.issue_date)?));
    let mut sheet = Sheet::new(workbook.add_worksheet(), invoice, &write)?;
    sheet.title(POSITION, &title)?;
    sheet.row = 2;
    party(&mut sheet, &invoice.seller)?;
    party(&mut sheet, &invoice.buyer)?;
    facts(&mut sheet, invoice)?;
    let lines = lines::lines(&mut sheet, invoice)?;
    sums::sums(&mut sheet, invoice, lines)?;
    words(&mut sheet, invoice)?;
    Ok(workbook.save_to_buffer()?)
}

/// Name and address, one below the other.
fn party(sheet: &mut Sheet<'_>, party: &Party) -> Result<(), FileError> {
    sheet.strong(NAME, &party.name)?;
    sheet.next();
    let country = sheet.labels.country(&party.country).to_owned();
    let legal = [&party.vat_id, &party.tax_number, &party.legal_id];
    let lines = party.address.iter().chain([&country]).chain(legal.into_iter().flatten());
    for line in lines {
        sheet.text(NAME, line)?;
        sheet.next();
    }
    sheet.next();
    Ok(())
}

/// Dates and references.
fn facts(sheet: &mut Sheet<'_>, invoice: &Invoice) -> Result<(), FileError> {
    let labels = sheet.labels;
    let due = invoice.due_date.filter(|_| invoice.kind != Kind::CreditNote);
    for (label, date) in [
        (&labels.issue_date, Some(invoice.issue_date)),
        (&labels.due_date, due),
        (&labels.delivery_date, invoice.delivery_date),
    ] {
        if let Some(date) = date {
            sheet.label(label)?;
            sheet.date(NAME, date)?;
            sheet.next();
        }
    }
    for (label, value) in [
        (&labels.original_invoice, &invoice.preceding_invoice),
        (&labels.order_number, &invoice.order_reference),
        (&labels.your_reference, &invoice.buyer_reference),
    ] {
        if let Some(value) = text(value.as_deref()) {
            sheet.label(label)?;
            sheet.text(NAME, &value)?;
            sheet.next();
        }
    }
    sheet.next();
    Ok(())
}

/// Terms, account, reasons, the seller's words.
fn words(sheet: &mut Sheet<'_>, invoice: &Invoice) -> Result<(), FileError> {
    let labels = sheet.labels;
    sheet.next();
    let means = invoice.payment_means.as_ref();
    for (label, value) in [
        (&labels.payment, text(invoice.payment_terms.as_deref())),
        (&labels.iban, means.and_then(|means| text(means.iban.as_deref()))),
        (&labels.bic, means.and_then(|means| text(means.bic.as_deref()))),
    ] {
        if let Some(value) = value {
            sheet.label(label)?;
            sheet.text(NAME, &value)?;
            sheet.next();
        }
    }
    for value in super::sums::notices(invoice, labels).into_iter().chain(text(invoice.note.as_deref())) {
        sheet.text(NAME, &value)?;
        sheet.next();
    }
    Ok(())
}
