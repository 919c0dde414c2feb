//! What a member may do in a company.

use std::{borrow::Cow, fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::registry::MetaSchema;

use super::{
    Invalid,
    glue::{StringType, string_schema},
};

/// The role of a member of a company. Each may do what those before it may, so they compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub enum CompanyRole {
    /// Sees the company, its members and its orders.
    Viewer,
    /// Orders for the company, within its spending limit.
    Buyer,
    /// Orders without limit, changes the company and its configuration, sees to members and documents.
    Admin,
    /// Makes and unmakes owners. A company always has one.
    Owner,
}

impl CompanyRole {
    /// Every role, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Buyer, Self::Admin, Self::Owner];

    /// The name as it travels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Buyer => "buyer",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for CompanyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for CompanyRole {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = Self::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| Invalid::quoting(text, "is not a role in a company: viewer, buyer, admin or owner"))
    }
}

impl StringType for CompanyRole {
    fn type_name() -> Cow<'static, str> {
        "CompanyRole".into()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            enum_items: Self::ALL.iter().map(|role| role.as_str().into()).collect(),
            ..string_schema(
                "What a member may do in a company: a viewer sees it, a buyer also orders for it, an admin also changes it and \
                 sees to its members, an owner also makes owners",
                "buyer",
            )
        }
    }
}

string_type!(CompanyRole);
text_column!(CompanyRole);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        assert!(CompanyRole::ALL.is_sorted());
        for role in CompanyRole::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("Owner".parse::<CompanyRole>().is_err());
    }
}
