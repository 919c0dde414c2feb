//! Every permission there is: one registry, from which the extractors are made too.
//!
//! A permission is a kind of thing and what is done to it, such as `catalog:write`. One that is new goes to whoever is
//! `admin` by itself, and to other roles by svc-user's migration or its API. A test sees to it that each is asked for by
//! some operation of `openapi.json`.

use std::{collections::BTreeSet, str::FromStr};

use poem::{Request, RequestBody};
use poem_openapi::{ApiExtractor, ApiExtractorType, Enum, ExtractParamOptions, registry::Registry};
use serde::{Deserialize, Serialize};

use super::{
    Identity,
    extractor::{self, BEARER},
};
use crate::types::Invalid;

/// What an operation can ask for: implemented by the extractor of each permission.
pub trait Needed: Send + Sync + 'static {
    /// The permission.
    const PERMISSION: Permission;
    /// What an operation that asks for it calls its security scheme. See [`super::document()`].
    const SCHEME: &'static str;
    /// The same, of an operation that asks for it only where something is not the caller's own.
    const SCHEME_UNLESS_OWN: &'static str;
}

macro_rules! permissions {
    ($($name:ident = $text:literal, $what:literal;)+) => {
        /// What kind of thing one may do: a resource and an action.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Enum)]
        pub enum Permission {
            $(
                #[doc = $what]
                #[serde(rename = $text)]
                #[oai(rename = $text)]
                $name,
            )+
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name, such as `catalog:write`.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $text,)+ } }

            /// What it lets do, for whoever gives it.
            pub const fn what(self) -> &'static str { match self { $(Self::$name => $what,)+ } }
        }

        impl FromStr for Permission {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                match text {
                    $($text => Ok(Self::$name),)+
                    _ => Err(Invalid::quoting(text, "is not a permission; GET /v1/permissions lists them")),
                }
            }
        }

        $(
            #[doc = concat!("Whoever holds `", $text, "`. ", $what)]
            #[derive(Debug, Clone)]
            pub struct $name(pub Identity);

            impl Needed for $name {
                const PERMISSION: Permission = Permission::$name;
                const SCHEME: &'static str = concat!("bearer ", $text);
                const SCHEME_UNLESS_OWN: &'static str = concat!("bearer ", $text, " unless own");
            }

            impl<'a> ApiExtractor<'a> for $name {
                const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
                type ParamType = ();
                type ParamRawType = ();

                fn register(registry: &mut Registry) {
                    registry.create_security_scheme(BEARER, extractor::bearer());
                }

                fn security_schemes() -> Vec<&'static str> {
                    vec![Self::SCHEME]
                }

                async fn from_request(
                    request: &'a Request,
                    _: &mut RequestBody,
                    _: ExtractParamOptions<()>,
                ) -> poem::Result<Self> {
                    Ok(Self(extractor::holding(request, Self::PERMISSION)?))
                }
            }
        )+
    };
}

permissions! {
    AuditRead = "audit:read", "Read who did what.";
    CatalogWrite = "catalog:write", "Add, change and remove products and categories.";
    CompaniesRead = "companies:read", "Read companies and their documents.";
    CompaniesWrite = "companies:write", "Approve, refuse and suspend companies, judge their documents, say which are needed.";
    InvoicesRead = "invoices:read", "Read everybody's invoices and their documents.";
    NotificationsRead = "notifications:read", "Read what everybody was told, and whether it got there.";
    NotificationsRetry = "notifications:retry", "Have notifications that failed sent again.";
    OperationsRead = "operations:read", "Read the dead letters of the system.";
    OperationsWrite = "operations:write", "Redrive and discard the dead letters of the system.";
    OrdersRead = "orders:read", "Read everybody's orders.";
    OrdersRefund = "orders:refund", "Give money of an order back.";
    OrdersWrite = "orders:write", "Complete and cancel everybody's orders.";
    PaymentsRead = "payments:read", "Read everybody's payments and refunds.";
    RolesRead = "roles:read", "Read roles, and what they let do.";
    RolesWrite = "roles:write", "Make, change and remove roles, and give them to people: of what one may do oneself.";
    StockRead = "stock:read", "Read stock movements and reorder points.";
    StockWrite = "stock:write", "Set stock levels and record stock movements.";
    UsersRead = "users:read", "Find people and read their profiles.";
}

/// A set of permissions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions(BTreeSet<Permission>);

impl Permissions {
    /// All there are.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// Those with these names. One that this build does not know is left out: nothing here asks for it.
    pub fn named<I>(names: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        names.into_iter().filter_map(|name| name.as_ref().parse().ok()).collect()
    }

    /// Whether this one is among them.
    pub fn contains(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
    }

    /// Those that are not among `others`.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).copied().collect())
    }

    /// Those, and `others`.
    #[must_use]
    pub fn with(&self, others: &Self) -> Self {
        Self(self.0.union(&others.0).copied().collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, in the order of the registry.
    pub fn iter(&self) -> impl Iterator<Item = Permission> + '_ {
        self.0.iter().copied()
    }

    /// Their names, as they travel.
    pub fn names(&self) -> Vec<String> {
        self.iter().map(|permission| permission.as_str().to_owned()).collect()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_known_by_its_name() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
            assert_eq!(serde_json::to_value(permission).unwrap(), permission.as_str());
            let (thing, action) = permission.as_str().split_once(':').unwrap();
            assert!(!thing.is_empty() && !action.is_empty() && permission.what().ends_with('.'), "{permission:?}");
        }
        assert!("everything:write".parse::<Permission>().is_err());
    }

    #[test]
    fn the_registry_is_in_the_order_of_its_names() {
        assert!(Permission::ALL.is_sorted_by_key(|permission| permission.as_str()));
    }

    #[test]
    fn what_another_build_knows_is_left_out() {
        let read = Permissions::named(["orders:read", "rockets:launch", ""]);
        assert_eq!(read, [Permission::OrdersRead].into_iter().collect());
        assert_eq!(read.names(), ["orders:read"]);
    }

    #[test]
    fn sets_are_compared_by_what_is_missing() {
        let (all, orders) = (Permissions::all(), Permissions::named(["orders:read", "orders:write"]));
        assert!(orders.without(&all).is_empty());
        assert!(!all.without(&orders).contains(Permission::OrdersRead));
        assert_eq!(all.without(&orders).with(&orders), all);
    }
}
