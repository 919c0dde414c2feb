//! The roles of a user, as they stand in the row.

use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, Output, ToSql},
    sql_types,
};
use nats::identity::Role;

/// The names of roles, each once: a `text[]`.
#[derive(Debug, Clone, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Array<sql_types::Text>)]
pub(crate) struct Roles(Vec<Role>);

impl Roles {
    /// These, each once.
    pub(crate) fn of(roles: Vec<Role>) -> Self {
        roles.into_iter().fold(Self(Vec::new()), Self::with)
    }

    /// These roles, with `role` among them.
    #[must_use]
    pub(crate) fn with(mut self, role: Role) -> Self {
        if !self.0.contains(&role) {
            self.0.push(role);
        }
        self
    }

    /// Those that are here and not there, or there and not here.
    pub(crate) fn other_than(&self, there: &Self) -> Vec<Role> {
        let gone = self.0.iter().filter(|role| !there.contains(role));
        gone.chain(there.0.iter().filter(|role| !self.contains(role))).cloned().collect()
    }

    pub(crate) fn contains(&self, role: &Role) -> bool {
        self.0.contains(role)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(Role::as_str).collect()
    }

    pub(crate) fn to_vec(&self) -> Vec<Role> {
        self.0.clone()
    }
}

impl ToSql<sql_types::Array<sql_types::Text>, Pg> for Roles {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <Vec<&str> as ToSql<sql_types::Array<sql_types::Text>, Pg>>::to_sql(&self.names(), &mut out.reborrow())
    }
}

impl FromSql<sql_types::Array<sql_types::Text>, Pg> for Roles {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let names = <Vec<String> as FromSql<sql_types::Array<sql_types::Text>, Pg>>::from_sql(value)?;
        Ok(Self(names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_held_once() {
        let customer = Roles(vec![Role::CUSTOMER]);
        assert_eq!(customer.clone().with(Role::CUSTOMER), customer);
        let staff = customer.with(Role::STAFF);
        assert_eq!(staff.to_vec(), [Role::CUSTOMER, Role::STAFF]);
        assert_eq!(staff.clone().with(Role::STAFF), staff);
        assert_eq!(Roles::of(vec![Role::CUSTOMER, Role::STAFF, Role::CUSTOMER]), staff);
    }

    #[test]
    fn what_differs_is_what_is_given_and_what_is_taken() {
        let (customer, staff) = (Role::CUSTOMER, Role::STAFF);
        let before = Roles(vec![customer.clone(), staff.clone()]);
        let after = Roles(vec![Role::ADMIN, customer.clone()]);
        assert_eq!(before.other_than(&after), [staff.clone(), Role::ADMIN]);
        assert_eq!(before.other_than(&Roles(vec![staff, customer])), []);
    }
}
