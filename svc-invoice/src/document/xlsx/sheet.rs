//! The sheet being written, row by row, and how its cells look.

use chrono::{Datelike as _, NaiveDate};
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use rust_xlsxwriter::{
    ExcelDateTime, Format, FormatAlign, FormatBorder, Formula, Worksheet, XlsxError, row_col_to_cell,
    row_col_to_cell_absolute,
};

use crate::document::file_error::FileError;
use crate::document::format::Conventions;
use crate::document::labels::Labels;
use crate::document::model::{Amount, Invoice};
use crate::document::view::ViewError;
use crate::document::written::clean;
use crate::document::xml::major;

pub(super) const POSITION: u16 = 0;
pub(super) const ARTICLE: u16 = 1;
pub(super) const NAME: u16 = 2;
pub(super) const DESCRIPTION: u16 = 3;
pub(super) const QUANTITY: u16 = 4;
pub(super) const UNIT: u16 = 5;
pub(super) const PRICE: u16 = 6;
pub(super) const PRICE_BASE: u16 = 7;
pub(super) const ALLOWANCES: u16 = 8;
pub(super) const CHARGES: u16 = 9;
/// Below the lines.
pub(super) const TAXABLE: u16 = CHARGES;
pub(super) const CATEGORY: u16 = 10;
pub(super) const RATE: u16 = 11;
pub(super) const AMOUNT: u16 = 12;

/// Characters that a column is wide.
const WIDTHS: [(u16, f64); 13] = [
    (POSITION, 5.0),
    (ARTICLE, 18.0),
    (NAME, 38.0),
    (DESCRIPTION, 38.0),
    (QUANTITY, 10.0),
    (UNIT, 8.0),
    (PRICE, 13.0),
    (PRICE_BASE, 8.0),
    (ALLOWANCES, 13.0),
    (CHARGES, 13.0),
    (CATEGORY, 8.0),
    (RATE, 9.0),
    (AMOUNT, 16.0),
];

/// The date as the reader's own settings have it.
const LOCAL_DATE: u8 = 14;

/// Rows that have been written, the first and the last.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) first: u32,
    pub(super) last: u32,
}

/// The sheet, and where the next cell goes.
pub(super) struct Sheet<'a> {
    sheet: &'a mut Worksheet,
    pub(super) labels: &'static Labels,
    /// The row that is being written.
    pub(super) row: u32,
    /// Digits of the currency after the point.
    pub(super) digits: u8,
    money: Format,
    total: Format,
    price: Format,
    rate: Format,
    date: Format,
    strong: Format,
    title: Format,
    head: Format,
    right: Format,
    label: Format,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(sheet: &'a mut Worksheet, invoice: &Invoice, write: &Conventions) -> Result<Self, FileError> {
        for (column, width) in WIDTHS {
            sheet.set_column_width(column, width)?;
        }
        // A4, across, as wide as the paper.
        sheet.set_paper_size(9).set_landscape().set_print_fit_to_pages(1, 0);
        sheet.set_right_to_left(write.tag().starts_with("ar"));
        let digits = invoice.totals.due.exponent;
        let fraction = "0".repeat(usize::from(digits));
        let point = if digits == 0 { "" } else { "." };
        let money = Format::new().set_num_format(format!("#,##0{point}{fraction}"));
        let strong = Format::new().set_bold();
        Ok(Self {
            sheet,
            labels: write.labels(),
            row: 0,
            digits,
            total: money.clone().set_bold().set_border_top(FormatBorder::Thin),
            money,
            price: Format::new().set_num_format("#,##0.00##"),
            rate: Format::new().set_num_format("0.00##%"),
            date: Format::new().set_num_format_index(LOCAL_DATE).set_align(FormatAlign::Left),
            title: strong.clone().set_font_size(16),
            head: strong.clone().set_border_bottom(FormatBorder::Thin).set_text_wrap().set_align(FormatAlign::Top),
            right: Format::new().set_align(FormatAlign::Right),
            label: Format::new().set_font_color("#555555"),
            strong,
        })
    }

    /// Goes to the next row.
    pub(super) fn next(&mut self) {
        self.row = self.row.saturating_add(1);
    }

    /// A text from outside, or a word: never a formula.
    pub(super) fn text(&mut self, column: u16, value: &str) -> Result<(), FileError> {
        let value = clean(value);
        if !value.is_empty() {
            self.sheet.write_string(self.row, column, value)?;
        }
        Ok(())
    }

    pub(super) fn strong(&mut self, column: u16, value: &str) -> Result<(), FileError> {
        Ok(self.sheet.write_string_with_format(self.row, column, clean(value), &self.strong).map(drop)?)
    }

    pub(super) fn title(&mut self, column: u16, value: &str) -> Result<(), FileError> {
        Ok(self.sheet.write_string_with_format(self.row, column, value, &self.title).map(drop)?)
    }

    /// What the cell to the right says.
    pub(super) fn label(&mut self, value: &str) -> Result<(), FileError> {
        Ok(self.sheet.write_string_with_format(self.row, ARTICLE, value, &self.label).map(drop)?)
    }

    /// What the amount at the end of the row is.
    pub(super) fn label_of_amount(&mut self, value: &str) -> Result<(), FileError> {
        Ok(self.sheet.write_string_with_format(self.row, RATE, value, &self.right).map(drop)?)
    }

    /// The head of a table.
    pub(super) fn head(&mut self, cells: &[(u16, &str)]) -> Result<(), FileError> {
        for (column, value) in cells {
            self.sheet.write_string_with_format(self.row, *column, *value, &self.head)?;
        }
        Ok(())
    }

    /// The table's head on each printed page.
    pub(super) fn repeat_head(&mut self) -> Result<(), FileError> {
        Ok(self.sheet.set_repeat_rows(self.row, self.row).map(drop)?)
    }

    pub(super) fn date(&mut self, column: u16, value: NaiveDate) -> Result<(), FileError> {
        Ok(self.sheet.write_datetime_with_format(self.row, column, &day(value)?, &self.date).map(drop)?)
    }

    /// A count of things.
    pub(super) fn number(&mut self, column: u16, value: Decimal) -> Result<(), FileError> {
        Ok(self.sheet.write_number(self.row, column, float(value)?).map(drop)?)
    }

    pub(super) fn price(&mut self, value: Decimal) -> Result<(), FileError> {
        Ok(self.sheet.write_number_with_format(self.row, PRICE, float(value)?, &self.price).map(drop)?)
    }

    /// Percent, as a fraction of one: the program shows it as percent again.
    pub(super) fn rate(&mut self, percent: Decimal) -> Result<(), FileError> {
        let fraction = percent.checked_mul(Decimal::new(1, 2)).unwrap_or(percent);
        Ok(self.sheet.write_number_with_format(self.row, RATE, float(fraction)?, &self.rate).map(drop)?)
    }

    pub(super) fn money(&mut self, column: u16, value: Decimal) -> Result<(), FileError> {
        Ok(self.sheet.write_number_with_format(self.row, column, float(value)?, &self.money).map(drop)?)
    }

    /// An amount that the program computes, and what it comes to.
    pub(super) fn sum(
        &mut self,
        column: u16,
        formula: &str,
        result: &Amount,
        at: impl FnOnce() -> String,
    ) -> Result<(), FileError> {
        let formula = Formula::new(formula).set_result(major(result, at)?.to_string());
        Ok(self.sheet.write_formula_with_format(self.row, column, formula, &self.money).map(drop)?)
    }

    /// The last amount of all.
    pub(super) fn total(&mut self, formula: &str, result: &Amount, label: &str) -> Result<(), FileError> {
        self.label_of_amount(label)?;
        let formula = Formula::new(formula).set_result(major(result, || "/totals/due".to_owned())?.to_string());
        Ok(self.sheet.write_formula_with_format(self.row, AMOUNT, formula, &self.total).map(drop)?)
    }

    /// A cell of the row that is being written: `G12`.
    pub(super) fn here(&self, column: u16) -> String {
        cell(self.row, column)
    }
}

/// `G12`.
pub(super) fn cell(row: u32, column: u16) -> String {
    row_col_to_cell(row, column)
}

/// `$G$3:$G$12`; of one row too, for not every program takes a cell for a range.
pub(super) fn column(rows: Rows, column: u16) -> String {
    let [first, last] = [rows.first, rows.last].map(|row| row_col_to_cell_absolute(row, column));
    format!("{first}:{last}")
}

/// A day as spreadsheets count them.
pub(super) fn day(date: NaiveDate) -> Result<ExcelDateTime, FileError> {
    let part = |number: u32| u8::try_from(number).unwrap_or_default();
    let year = u16::try_from(date.year()).unwrap_or_default();
    Ok(ExcelDateTime::from_ymd(year, part(date.month()), part(date.day()))?)
}

/// The nearest number of a spreadsheet.
fn float(value: Decimal) -> Result<f64, FileError> {
    let refused = || ViewError { pointer: String::new(), value: value.to_string() };
    Ok(value.to_f64().ok_or_else(refused)?)
}

impl From<XlsxError> for FileError {
    fn from(error: XlsxError) -> Self {
        Self::Write(std::io::Error::other(error))
    }
}
