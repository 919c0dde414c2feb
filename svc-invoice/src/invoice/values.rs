//! The codes of an invoice and its documents: types, states, formats.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use nats::types::{Invalid, StringType, string_schema};
use poem_openapi::registry::MetaSchema;

macro_rules! codes {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$vmeta:meta])* $variant:ident = $code:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, AsExpression, FromSqlRow)]
        #[diesel(sql_type = sql_types::Text)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it travels.
            pub const fn code(self) -> &'static str { match self { $(Self::$variant => $code,)+ } }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.code()) }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                let all: Vec<&str> = Self::ALL.iter().map(|known| known.code()).collect();
                Self::ALL.iter().copied().find(|known| known.code() == text).ok_or_else(|| {
                    Invalid::quoting(text, &format!(concat!("is not ", $what, ": there are {}"), all.join(", ")))
                })
            }
        }

        impl StringType for $name {
            fn type_name() -> Cow<'static, str> { stringify!($name).into() }

            fn schema() -> MetaSchema {
                let enum_items: Vec<_> = Self::ALL.iter().map(|known| known.code().into()).collect();
                let example = Self::ALL.first().map_or("", |first| first.code());
                MetaSchema { enum_items, ..string_schema($what, example) }
            }
        }

        nats::string_type!($name);
        nats::text_column!($name);
    };
}

codes! {
    /// What kind of document it is (UNTDID 1001).
    InvoiceType, "an invoice type (UNTDID 1001)" {
        /// A commercial invoice.
        Invoice = "380",
        /// A credit note; its amounts are positive and flow to the buyer.
        CreditNote = "381",
        /// An invoice that replaces a wrong one.
        Corrected = "384",
    }
}

codes! {
    /// How far an invoice is.
    InvoiceState, "an invoice state" {
        /// Accepted; it has no number yet.
        Draft = "draft",
        /// It has its number and does not change any more.
        Issued = "issued",
        /// Issued, and all of it is paid.
        Paid = "paid",
        /// Issued, and taken back by a credit note.
        Credited = "credited",
        /// A draft that was given up.
        Void = "void",
    }
}

codes! {
    /// In what form an invoice is rendered.
    DocumentFormat, "a document format" {
        /// A tagged PDF/A-3 for people.
        Pdf = "pdf",
        /// A spreadsheet.
        Xlsx = "xlsx",
        /// Lines, tax and totals, comma separated, for programs.
        Csv = "csv",
        /// A PDF that carries the CII document (Factur-X, ZUGFeRD).
        Facturx = "facturx",
        /// UBL 2.1.
        Ubl = "ubl",
        /// UN/CEFACT Cross Industry Invoice.
        Cii = "cii",
    }
}

impl DocumentFormat {
    /// Whether it is for machines by EN 16931, whose rules the invoice then has to keep.
    pub const fn is_e_invoice(self) -> bool {
        matches!(self, Self::Facturx | Self::Ubl | Self::Cii)
    }

    /// The ending of its file's name: no two formats of an invoice have the same.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Xlsx => "xlsx",
            Self::Csv => "csv",
            Self::Facturx => "facturx.pdf",
            Self::Ubl => "ubl.xml",
            Self::Cii => "cii.xml",
        }
    }

    /// What it is on the web.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Pdf | Self::Facturx => "application/pdf",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ubl | Self::Cii => "application/xml",
        }
    }
}

codes! {
    /// How far a document is.
    DocumentState, "a document state" {
        /// It waits to be rendered, or is being rendered.
        Queued = "queued",
        /// It can be downloaded.
        Rendered = "rendered",
        /// It could not be rendered.
        Failed = "failed",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_there_is() {
        let refusal = "382".parse::<InvoiceType>().unwrap_err();
        assert_eq!(refusal.as_str(), "`382` is not an invoice type (UNTDID 1001): there are 380, 381, 384");
    }
}
