//! The shop as the seller on its orders' invoices.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `SELLER_NAME` | legal name | Argosy Outfitters GmbH |
//! | `SELLER_VAT_ID`, `SELLER_TAX_NUMBER` | VAT identifier, national tax number | DE301245678, 27/123/45678 |
//! | `SELLER_REGISTRATION` | entry in the commercial register, managing directors | of the demo company |
//! | `SELLER_EMAIL`, `SELLER_PHONE`, `SELLER_WEBSITE` | how to reach it | of the demo company |
//! | `SELLER_LINE1`, `SELLER_LINE2`, `SELLER_POSTAL_CODE`, `SELLER_CITY`, `SELLER_COUNTRY` | its address | Am Sandtorkai 30, 20457 Hamburg, DE |
//! | `SELLER_SERIES` | the series of its orders' invoices | A |
//!
//! Trap: the demo company does not exist. Whoever sells for real sets every `SELLER_…`; an empty one is an unset one.

use std::{fmt::Display, str::FromStr};

use nats::{config::Settings, service::StartError, types::Text};

use crate::invoice::{
    content::{InvoiceAddress, InvoiceParty},
    identifiers::Series,
};

/// The shop, as it stands on invoices.
pub(crate) struct Shop {
    /// Name, address and legal particulars.
    pub(crate) seller: InvoiceParty,
    /// The series of the invoices of orders.
    pub(crate) series: Series,
}

impl Shop {
    /// As the settings say.
    ///
    /// # Errors
    /// A setting that is too long, or no VAT identifier, country and so on.
    pub(crate) fn read(settings: &Settings) -> Result<Self, StartError> {
        let address = InvoiceAddress {
            line1: value(settings, "SELLER_LINE1", "Am Sandtorkai 30")?,
            line2: settings.get("SELLER_LINE2")?.map(|text| parse("SELLER_LINE2", &text)).transpose()?,
            city: value(settings, "SELLER_CITY", "Hamburg")?,
            postal_code: Some(value(settings, "SELLER_POSTAL_CODE", "20457")?),
            region: None,
            country: value(settings, "SELLER_COUNTRY", "DE")?,
        };
        let registration: Text<1, 200> = value(
            settings,
            "SELLER_REGISTRATION",
            "Amtsgericht Hamburg, HRB 158210 · Geschäftsführung: Ada Hansen, Jonas Brandt",
        )?;
        let seller = InvoiceParty {
            name: value(settings, "SELLER_NAME", "Argosy Outfitters GmbH")?,
            contact: None,
            vat_id: Some(value(settings, "SELLER_VAT_ID", "DE301245678")?),
            tax_number: Some(value(settings, "SELLER_TAX_NUMBER", "27/123/45678")?),
            legal_id: None,
            registration: Some(registration),
            email: Some(value(settings, "SELLER_EMAIL", "billing@argosy.example")?),
            phone: Some(value(settings, "SELLER_PHONE", "+49 40 5550 100")?),
            website: Some(value(settings, "SELLER_WEBSITE", "www.argosy.example")?),
            address,
        };
        Ok(Self { seller, series: value(settings, "SELLER_SERIES", "A")? })
    }
}

fn value<T: FromStr<Err: Display>>(settings: &Settings, name: &str, default: &str) -> Result<T, StartError> {
    let text = settings.get(name)?;
    parse(name, text.as_deref().unwrap_or(default))
}

fn parse<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, StartError> {
    text.parse().map_err(|error| StartError::Other(format!("setting {name}: {error}")))
}
