//! Who comes to a bed: clients of people who may do this or that.

use std::sync::Arc;

use nats::{
    identity::{Identity, Permission, Permissions, Role},
    types::{SessionId, UserId},
};

use super::{Bed, Client};

/// What those who run the shop may not do: that is for whoever runs the system.
const NOT_OF_STAFF: [Permission; 5] = [
    Permission::AuditRead,
    Permission::OperationsRead,
    Permission::OperationsWrite,
    Permission::RolesRead,
    Permission::RolesWrite,
];

/// What the role `staff` lets do at first.
pub fn of_staff() -> Permissions {
    Permissions::all().without(&NOT_OF_STAFF.into_iter().collect())
}

#[expect(clippy::expect_used, reason = "a test that cannot set up its world has failed")]
impl Bed {
    /// A client of somebody new who buys.
    pub fn customer(&self) -> Client {
        self.customer_with_id(UserId::new())
    }

    /// A client of somebody new who runs the shop.
    pub fn staff(&self) -> Client {
        self.somebody(UserId::new(), Some(Role::STAFF), of_staff())
    }

    /// A client of somebody new who runs the system.
    pub fn admin(&self) -> Client {
        self.somebody(UserId::new(), Some(Role::ADMIN), Permissions::all())
    }

    /// A client of somebody new who may do just this, beside what everybody may.
    pub fn holding(&self, permissions: &[Permission]) -> Client {
        let role = "of_this_test".parse().expect("the name of a role");
        self.somebody(UserId::new(), Some(role), permissions.iter().copied().collect())
    }

    /// A client of this user.
    pub fn customer_with_id(&self, user: UserId) -> Client {
        self.somebody(user, None, Permissions::default())
    }

    /// A client of this identity.
    pub fn client_of(&self, identity: Identity) -> Client {
        self.client(Some(identity))
    }

    /// A client without a token.
    pub fn nobody(&self) -> Client {
        self.client(None)
    }

    fn somebody(&self, user: UserId, role: Option<Role>, permissions: Permissions) -> Client {
        let roles = [Role::CUSTOMER].into_iter().chain(role).collect();
        self.client(Some(Identity { user, session: Some(SessionId::new()), roles, permissions }))
    }

    fn client(&self, identity: Option<Identity>) -> Client {
        Client::new(self.broker.client().clone(), self.objects.clone(), Arc::clone(&self.manifests), identity)
    }
}
