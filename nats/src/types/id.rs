//! TypeIDs (specification 0.3): a prefix, `_`, and a UUIDv7 in 26 characters of Crockford base32.
//!
//! `Id<kind::Order>` (alias [`OrderId`]) is a `Uuid` in Rust and SQL and `ord_01h455…` wherever it
//! is read. Ids sort by the time they were made; an id of another kind does not parse.
//! A service with a kind of its own implements [`Kind`] for a marker type.

use std::{
    borrow::Cow,
    fmt::{self, Debug, Display, Write as _},
    hash::Hash,
    marker::PhantomData,
    str::FromStr,
};

use chrono::{DateTime, Utc};
use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, Output, ToSql},
    sql_types,
};
use poem_openapi::registry::MetaSchema;
use uuid::Uuid;

use super::{
    Invalid,
    glue::{StringType, string_schema},
};

#[cfg(test)]
mod tests;

/// What an id names: the marker type that tells an order's id from a payment's.
pub trait Kind: Copy + Ord + Hash + Debug + Send + Sync + 'static {
    /// The prefix without `_`, lower-case ASCII letters: `ord`.
    const PREFIX: &'static str;
    /// The id's name in errors and schemas: `OrderId`.
    const NAME: &'static str;
    /// The schema's description: "The id of an order".
    const DESCRIPTION: &'static str;
}

macro_rules! kinds {
    ($($kind:ident $alias:ident $prefix:literal $what:literal;)*) => {
        /// Marker types, one for each kind of thing that has an id.
        pub mod kind {
            $(
                #[doc = concat!("Marks the id of one ", $what, ", `", $prefix, "_…`.")]
                #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
                pub struct $kind;

                impl super::Kind for $kind {
                    const PREFIX: &'static str = $prefix;
                    const NAME: &'static str = stringify!($alias);
                    const DESCRIPTION: &'static str = concat!("The id of one ", $what, " (TypeID)");
                }
            )*
        }
        $(
            #[doc = concat!("The id of one ", $what, ": `", $prefix, "_` and 26 characters.")]
            pub type $alias = Id<kind::$kind>;
        )*
    };
}

kinds! {
    Address AddressId "adr" "address";
    ApiKey ApiKeyId "key" "API key";
    Cart CartId "crt" "cart";
    Category CategoryId "cat" "category";
    Company CompanyId "cmp" "company";
    CompanyDocument CompanyDocumentId "doc" "document of a company";
    DeadLetter DeadLetterId "dlt" "dead letter";
    DocumentType DocumentTypeId "dty" "document type";
    Event EventId "evt" "event";
    ExternalIdentity ExternalIdentityId "ext" "external identity";
    Invitation InvitationId "ivt" "invitation";
    Invoice InvoiceId "inv" "invoice";
    Manifest ManifestId "mft" "manifest";
    Message MessageId "msg" "message";
    Notification NotificationId "ntf" "notification";
    Order OrderId "ord" "order";
    Payment PaymentId "pay" "payment";
    Product ProductId "prd" "product";
    Refund RefundId "rfd" "refund";
    Session SessionId "ses" "session";
    Shipment ShipmentId "shp" "shipment";
    TrailEntry TrailEntryId "trl" "entry of the audit trail";
    User UserId "usr" "user";
    Variant VariantId "var" "variant";
}

/// An id of kind `K`; see the aliases ([`OrderId`] and its siblings).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Uuid)]
pub struct Id<K: Kind> {
    uuid: Uuid,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Id<K> {
    /// A new id (UUIDv7) of this moment; ids made by one process ascend.
    #[expect(clippy::new_without_default, reason = "two defaults would differ: an id is made, never assumed")]
    pub fn new() -> Self {
        Self::from_uuid(Uuid::now_v7())
    }

    /// The id with this UUID, of whatever version.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self { uuid, kind: PhantomData }
    }

    /// The UUID, as it stands in the database.
    pub const fn uuid(self) -> Uuid {
        self.uuid
    }

    /// When the id was made, to the millisecond. Means nothing if the UUID is not of version 7.
    pub fn timestamp(self) -> DateTime<Utc> {
        let millis = i64::try_from(self.uuid.as_u128() >> 80).unwrap_or_default();
        DateTime::from_timestamp_millis(millis).unwrap_or_default()
    }
}

/// Crockford's base32, lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters after the `_`: 130 bits, of which the first two are zero.
const SUFFIX: u32 = 26;

fn decode(suffix: &str) -> Option<u128> {
    // The first character holds three bits: above `7` the value would not fit 128.
    if suffix.len() != 26 || !suffix.starts_with(|first: char| first <= '7') {
        return None;
    }
    suffix.bytes().try_fold(0u128, |value, byte| {
        let digit = ALPHABET.iter().position(|known| *known == byte)?;
        Some((value << 5) | u128::try_from(digit).ok()?)
    })
}

impl<K: Kind> Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(K::PREFIX)?;
        f.write_char('_')?;
        let value = self.uuid.as_u128();
        for place in (0..SUFFIX).rev() {
            let digit = usize::try_from((value >> (5 * place)) & 31).unwrap_or_default();
            f.write_char(ALPHABET.get(digit).copied().unwrap_or_default().into())?;
        }
        Ok(())
    }
}

impl<K: Kind> Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let prefix = K::PREFIX;
        let Some(suffix) = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')) else {
            return Err(Invalid::quoting(text, &format!("is not an id of this kind: it must start with `{prefix}_`")));
        };
        let rule = || format!("is not an id: `{prefix}_` must be followed by 26 characters of lower-case base32");
        decode(suffix)
            .map(|value| Self::from_uuid(Uuid::from_u128(value)))
            .ok_or_else(|| Invalid::quoting(text, &rule()))
    }
}

impl<K: Kind> StringType for Id<K> {
    fn type_name() -> Cow<'static, str> {
        K::NAME.into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            format: Some("typeid"),
            pattern: Some(format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", K::PREFIX)),
            ..string_schema(K::DESCRIPTION, &format!("{}_01h455vb4pex5vsknk084sn02q", K::PREFIX))
        }
    }
}

string_type!([K: Kind] Id<K>);

impl<K: Kind> ToSql<sql_types::Uuid, Pg> for Id<K> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <Uuid as ToSql<sql_types::Uuid, Pg>>::to_sql(&self.uuid, out)
    }
}

impl<K: Kind> FromSql<sql_types::Uuid, Pg> for Id<K> {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        <Uuid as FromSql<sql_types::Uuid, Pg>>::from_sql(value).map(Self::from_uuid)
    }
}
