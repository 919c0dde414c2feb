//! Who is asking: verified by the gateway, passed on in headers, required by extractors.
//!
//! | extractor | who passes | who does not |
//! |---|---|---|
//! | [`Visitor`] | anyone; tells who, when known | — |
//! | [`User`] | whoever is signed in | 401 |
//! | [`OwnerOr<OrdersRead>`](OwnerOr) | whoever is signed in; tells whose things they reach | 401 |
//! | [`CatalogWrite`] and so on, one per [`Permission`] | whoever holds that permission | 401, 403 |
//!
//! What a permission lets do is said by the operation that asks for it; who holds it is data of svc-user, in roles. Nothing
//! outside of svc-user looks at a role's name.
//!
//! Trap: a permission says what kind of thing one may do; whose thing it is stands in the query
//! ([`OwnerOr::reaches_all`], `filter(user_id.eq(…))`).

mod document;
mod extractor;
mod permission;
mod role;

use async_nats::{HeaderMap, HeaderValue};
use poem::Request;

pub use document::document;
pub use extractor::{OwnerOr, User, Visitor};
pub use permission::{
    AuditRead, CatalogWrite, CompaniesRead, CompaniesWrite, InvoicesRead, Needed, NotificationsRead,
    NotificationsRetry, OperationsRead, OperationsWrite, OrdersRead, OrdersRefund, OrdersWrite, PaymentsRead,
    Permission, Permissions, RolesRead, RolesWrite, StockRead, StockWrite, UsersRead,
};
pub use role::Role;

use crate::types::{SessionId, UserId};

const USER: &str = "Argosy-User";
const SESSION: &str = "Argosy-Session";
const ROLES: &str = "Argosy-Roles";
const PERMISSIONS: &str = "Argosy-Permissions";

/// A signed-in caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub user: UserId,
    /// In which session.
    pub session: Option<SessionId>,
    /// With which roles: for whoever writes down who did something.
    pub roles: Vec<Role>,
    /// What these let do: for whoever decides.
    pub permissions: Permissions,
}

impl Identity {
    /// Whether the caller may do this kind of thing.
    pub fn holds(&self, permission: Permission) -> bool {
        self.permissions.contains(permission)
    }

    /// Whether the caller may do this kind of thing to what belongs to `owner`: to one's own everybody may.
    pub fn reaches(&self, owner: UserId, permission: Permission) -> bool {
        self.user == owner || self.holds(permission)
    }

    /// Writes the identity for the next hop.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let roles: Vec<&str> = self.roles.iter().map(Role::as_str).collect();
        let permissions: Vec<&str> = self.permissions.iter().map(Permission::as_str).collect();
        let values = [
            (USER, Some(self.user.to_string())),
            (SESSION, self.session.map(|session| session.to_string())),
            (ROLES, Some(roles.join(","))),
            (PERMISSIONS, Some(permissions.join(","))),
        ];
        for (name, value) in values {
            if let Some(Ok(value)) = value.map(|value| value.parse::<HeaderValue>()) {
                headers.insert(name, value);
            }
        }
    }

    fn read(request: &Request) -> Option<Self> {
        let user = request.header(USER)?.parse().ok()?;
        let session = request.header(SESSION).and_then(|session| session.parse().ok());
        let words = |name: &str| request.header(name).unwrap_or_default().split(',');
        let roles = words(ROLES).filter_map(|role| role.parse().ok()).collect();
        let permissions = Permissions::named(words(PERMISSIONS));
        Some(Self { user, session, roles, permissions })
    }
}
