//! How far companies, invitations and documents are.

use nats::types::Text;

/// Why something was refused, for whoever it was refused to.
pub type Reason = Text<1, 500>;

/// A closed set of names, the same in JSON, parameters and SQL.
macro_rules! names {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize, ::poem_openapi::Enum,
            ::diesel::expression::AsExpression, ::diesel::deserialize::FromSqlRow,
        )]
        #[serde(rename_all = "snake_case")]
        #[oai(rename_all = "snake_case")]
        #[diesel(sql_type = ::diesel::sql_types::Text)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(match self { $(Self::$variant => $text,)+ })
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::nats::types::Invalid;

            fn from_str(text: &str) -> Result<Self, ::nats::types::Invalid> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(::nats::types::Invalid::quoting(text, concat!("is not ", $what))),
                }
            }
        }

        nats::text_column!($name);
    };
}

names! {
    /// How far a company is.
    CompanyStatus, "the status of a company" {
        /// Staff has to look at it.
        Pending = "pending",
        /// It may order.
        Active = "active",
        /// Staff did not believe it, and says why. It may say something else.
        Rejected = "rejected",
        /// It may not order any more, and is told why.
        Suspended = "suspended",
    }
}

names! {
    /// How far a document is.
    DocumentState, "the state of a document" {
        /// Staff has to look at it.
        Submitted = "submitted",
        /// It counts, until it expires.
        Accepted = "accepted",
        /// It does not count, and why is said.
        Rejected = "rejected",
    }
}

names! {
    /// How far an invitation is.
    InvitationState, "the state of an invitation" {
        /// It waits for an answer.
        Open = "open",
        /// Nobody answered in time.
        Expired = "expired",
        /// Whoever was invited became a member.
        Accepted = "accepted",
        /// The company took it back.
        Revoked = "revoked",
    }
}
