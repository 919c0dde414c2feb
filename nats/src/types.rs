//! The shared kernel: value types that every service, contract and API shares.
//!
//! Each type is parsed, not validated: a value that exists is well formed, whether it came from
//! JSON, a query parameter, a NATS message or a database row. All of them speak serde,
//! poem-openapi and diesel; errors are [`Invalid`], a sentence for the human who sent the value.
//!
//! | module | what |
//! |---|---|
//! | [`id`] | TypeIDs: `ord_01h455vb4pex5vsknk084sn02q` |
//! | [`currency`], [`money`] | ISO 4217, integer minor units |
//! | [`tax`], [`totals`] | UNTDID 5305 categories, the EN 16931 money engine |
//! | [`decimal`], [`quantity`] | decimal strings of invoices, integer quantities of orders |
//! | [`text`], [`email`], [`sku`] | bounded text |
//! | [`country`], [`locale`] | ISO 3166-1, BCP 47 |
//! | [`address`], [`postal`] | postal address, and what each country wants of one |
//! | [`vat_id`], [`eori`], [`company_role`] | companies: who they are to the tax office and to customs, what members may do |
//! | [`page`] | cursor paging of lists |
//! | [`secret`] | values that must not be printed |
//! | [`glue`] | the macros that make a type speak serde, OpenAPI and SQL |
//!
//! The trap: rows are parsed too. Tightening a rule here makes older rows unreadable, so a
//! stricter rule needs a migration of the data first.

#[macro_use]
pub mod glue;

pub mod address;
pub mod company_role;
pub mod country;
pub mod currency;
pub mod decimal;
pub mod email;
pub mod eori;
pub mod id;
pub mod invalid;
pub mod locale;
pub mod money;
pub mod page;
pub mod postal;
pub mod quantity;
pub mod secret;
pub mod sku;
pub mod tax;
pub mod text;
pub mod totals;
pub mod vat_id;

pub use address::Address;
pub use company_role::CompanyRole;
pub use country::CountryCode;
pub use currency::Currency;
pub use decimal::DecimalString;
pub use email::Email;
pub use eori::Eori;
pub use glue::{StringType, string_schema};
pub use id::{
    AddressId, ApiKeyId, CartId, CategoryId, CompanyDocumentId, CompanyId, DeadLetterId, DocumentTypeId, EventId,
    ExternalIdentityId, Id, InvitationId, InvoiceId, Kind, ManifestId, MessageId, NotificationId, OrderId, PaymentId,
    ProductId, RefundId, SessionId, ShipmentId, TrailEntryId, UserId, VariantId, kind,
};
pub use invalid::Invalid;
pub use locale::Locale;
pub use money::{Money, MoneyError, format_locale};
pub use page::{Cursor, Limit, Page};
pub use quantity::Quantity;
pub use secret::Secret;
pub use sku::Sku;
pub use tax::{TaxCategory, TaxRate};
pub use text::{Name, Text};
pub use totals::{Adjustment, Line, MOST_PRICED_TOGETHER, TaxGroup, Totals, TotalsError};
pub use vat_id::VatId;
