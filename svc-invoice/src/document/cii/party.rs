//! Seller and buyer.

use crate::document::e_invoice::{EMAIL, country};
use crate::document::model::Party;
use crate::document::xml::{Written, Xml};

/// A party; what only a seller has is left out of a buyer.
pub(super) fn party(xml: &mut Xml, name: &str, party: &Party, seller: bool) -> Written {
    xml.within(name, |xml| {
        xml.text("ram:Name", &party.name)?; // BT-27, BT-44
        xml.optional("ram:Description", party.registration.as_deref().filter(|_| seller))?; // BT-33
        if let Some(legal_id) = &party.legal_id {
            xml.within("ram:SpecifiedLegalOrganization", |xml| xml.text("ram:ID", legal_id))?; // BT-30, BT-47
        }
        contact(xml, party)?;
        address(xml, party)?;
        if let Some(email) = &party.email {
            xml.within("ram:URIUniversalCommunication", |xml| {
                xml.with("ram:URIID", ("schemeID", EMAIL), email) // BT-34, BT-49
            })?;
        }
        if let Some(vat_id) = &party.vat_id {
            registered(xml, vat_id, "VA")?; // BT-31, BT-48
        }
        match party.tax_number.as_deref().filter(|_| seller) {
            Some(number) => registered(xml, number, "FC"), // BT-32
            None => Ok(()),
        }
    })
}

fn registered(xml: &mut Xml, number: &str, scheme: &str) -> Written {
    xml.within("ram:SpecifiedTaxRegistration", |xml| xml.with("ram:ID", ("schemeID", scheme), number))
}

/// Whom to ask (BG-6, BG-9).
fn contact(xml: &mut Xml, party: &Party) -> Written {
    if party.contact.is_none() && party.phone.is_none() && party.email.is_none() {
        return Ok(());
    }
    xml.within("ram:DefinedTradeContact", |xml| {
        xml.optional("ram:PersonName", party.contact.as_deref())?; // BT-41, BT-56
        if let Some(phone) = &party.phone {
            // BT-42, BT-57
            xml.within("ram:TelephoneUniversalCommunication", |xml| xml.text("ram:CompleteNumber", phone))?;
        }
        match &party.email {
            // BT-43, BT-58
            Some(email) => xml.within("ram:EmailURIUniversalCommunication", |xml| xml.text("ram:URIID", email)),
            None => Ok(()),
        }
    })
}

/// A postal address (BG-5, BG-8, BG-15).
pub(super) fn address(xml: &mut Xml, party: &Party) -> Written {
    let mut street = party.street.iter().map(String::as_str);
    xml.within("ram:PostalTradeAddress", |xml| {
        xml.optional("ram:PostcodeCode", party.postal_code.as_deref())?; // BT-38, BT-53, BT-78
        xml.optional("ram:LineOne", street.next())?; // BT-35, BT-50, BT-75
        xml.optional("ram:LineTwo", street.next())?; // BT-36, BT-51, BT-76
        xml.optional("ram:CityName", party.city.as_deref())?; // BT-37, BT-52, BT-77
        xml.text("ram:CountryID", country(&party.country))?; // BT-40, BT-55, BT-80
        xml.optional("ram:CountrySubDivisionName", party.region.as_deref()) // BT-39, BT-54, BT-79
    })
}
