//! svc-user: companies, and who orders for them.

use std::time::Duration;

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::Unknown;
use crate::{
    contracts::{Bucket, call, event},
    types::{Address, CompanyId, CompanyRole, Currency, Email, InvitationId, Locale, Money, Name, Text, UserId, VatId},
};

/// Copies of companies' documents, for downloads. svc-user keeps the documents themselves, and puts a copy here when one is
/// asked for.
pub const COMPANY_DOCUMENTS: Bucket =
    Bucket { name: "company_documents", max_age: Some(Duration::from_secs(7 * 24 * 3600)), max_bytes: 4 << 30 };

event! {
    /// Somebody is to be invited to a company by mail. The link for that is made when its mail is written.
    CompanyInvitationRequested = "user" / company.invitation_requested.1, by company_id {
        /// To which company.
        company_id: CompanyId,
        /// Which invitation.
        invitation_id: InvitationId,
    }
}

/// Asks for what the mail of an invitation says. The link is made here, and ends earlier ones of the invitation. Refused when
/// the invitation was accepted or revoked, or has expired.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetCompanyInvitationMail {
    /// Which.
    pub invitation_id: InvitationId,
}

// Not `Debug`: the link works for whoever reads the mail that is sent to the address.
/// What the mail of an invitation says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct CompanyInvitationMail {
    /// Who is invited, when they have an account.
    pub user_id: Option<UserId>,
    /// Where it goes.
    pub email: Email,
    /// What to call whoever is invited, when they have an account.
    pub name: Option<String>,
    /// The language they read; the company's, when they have no account.
    pub locale: Locale,
    /// The company's name.
    pub company: String,
    /// The name of whoever invites.
    pub inviter: String,
    /// Path and fragment of a page of the shop. The token stands in the fragment, which no server gets to see.
    pub link: String,
}

// Repeated, a try that was slow could end the link of a later one, which is already on its way.
call!(GetCompanyInvitationMail = "user".get_company_invitation_mail -> CompanyInvitationMail, or Unknown, idempotent: false);

/// Asks what somebody may do in a company, and on what terms it orders.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetCompanyMembership {
    /// Which company.
    pub company_id: CompanyId,
    /// Who.
    pub user_id: UserId,
}

/// What somebody may do in a company, and on what terms it orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct CompanyMembership {
    /// Which company.
    pub company_id: CompanyId,
    /// What they may do there.
    pub role: CompanyRole,
    /// Whether the company may order at all: staff approved it, and did not suspend it since.
    pub active: bool,
    /// The currency that it orders in.
    pub currency: Currency,
    /// Whether each of its orders needs a number of its own books.
    pub purchase_order_required: bool,
    /// What one order of a buyer may come to, taxes included; without one, as much as they want.
    pub spending_limit: Option<Money>,
    /// To whom invoices are made out.
    pub buyer: CompanyBuyer,
}

/// A company as the buyer on invoices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct CompanyBuyer {
    /// Its legal name.
    pub name: Name,
    /// Its VAT identifier.
    pub vat_id: Option<VatId>,
    /// Its entry in the commercial register.
    pub registration_number: Option<Text<1, 100>>,
    /// Where invoices go.
    pub email: Email,
    /// The language that they are written in.
    pub locale: Locale,
    /// Where it is.
    pub address: Address,
}

call!(GetCompanyMembership = "user".get_company_membership -> CompanyMembership, or Unknown, idempotent: true);
