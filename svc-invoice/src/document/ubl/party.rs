//! Seller and buyer.

use crate::document::e_invoice::{EMAIL, country};
use crate::document::model::Party;
use crate::document::xml::{Written, Xml};

/// A party; what only a seller has is left out of a buyer.
pub(super) fn party(xml: &mut Xml, party: &Party, seller: bool) -> Written {
    xml.within("cac:Party", |xml| {
        if let Some(email) = &party.email {
            xml.with("cbc:EndpointID", ("schemeID", EMAIL), email)?; // BT-34, BT-49
        }
        address(xml, "cac:PostalAddress", party)?;
        if let Some(vat_id) = &party.vat_id {
            registered(xml, vat_id, "VAT")?; // BT-31, BT-48
        }
        if let Some(number) = party.tax_number.as_deref().filter(|_| seller) {
            registered(xml, number, "FC")?; // BT-32
        }
        xml.within("cac:PartyLegalEntity", |xml| {
            xml.text("cbc:RegistrationName", &party.name)?; // BT-27, BT-44
            xml.optional("cbc:CompanyID", party.legal_id.as_deref())?; // BT-30, BT-47
            xml.optional("cbc:CompanyLegalForm", party.registration.as_deref().filter(|_| seller)) // BT-33
        })?;
        contact(xml, party)
    })
}

fn registered(xml: &mut Xml, number: &str, scheme: &str) -> Written {
    xml.within("cac:PartyTaxScheme", |xml| {
        xml.text("cbc:CompanyID", number)?;
        xml.within("cac:TaxScheme", |xml| xml.text("cbc:ID", scheme))
    })
}

/// Whom to ask (BG-6, BG-9).
fn contact(xml: &mut Xml, party: &Party) -> Written {
    if party.contact.is_none() && party.phone.is_none() && party.email.is_none() {
        return Ok(());
    }
    xml.within("cac:Contact", |xml| {
        xml.optional("cbc:Name", party.contact.as_deref())?; // BT-41, BT-56
        xml.optional("cbc:Telephone", party.phone.as_deref())?; // BT-42, BT-57
        xml.optional("cbc:ElectronicMail", party.email.as_deref()) // BT-43, BT-58
    })
}

/// A postal address (BG-5, BG-8, BG-15).
pub(super) fn address(xml: &mut Xml, name: &str, party: &Party) -> Written {
    let mut street = party.street.iter().map(String::as_str);
    xml.within(name, |xml| {
        xml.optional("cbc:StreetName", street.next())?; // BT-35, BT-50, BT-75
        xml.optional("cbc:AdditionalStreetName", street.next())?; // BT-36, BT-51, BT-76
        xml.optional("cbc:CityName", party.city.as_deref())?; // BT-37, BT-52, BT-77
        xml.optional("cbc:PostalZone", party.postal_code.as_deref())?; // BT-38, BT-53, BT-78
        xml.optional("cbc:CountrySubentity", party.region.as_deref())?; // BT-39, BT-54, BT-79
        xml.within("cac:Country", |xml| xml.text("cbc:IdentificationCode", country(&party.country))) // BT-40, BT-55, BT-80
    })
}
