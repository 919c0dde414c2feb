//! The roles of a user, as they stand in the row.

use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, Output, ToSql},
    sql_types,
};
use nats::identity::Role;

/// One role or more, each once: a `text[]`.
#[derive(Debug, Clone, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Array<sql_types::Text>)]
pub(crate) struct Roles(Vec<Role>);

impl Roles {
    /// These roles, with `role` among them.
    #[must_use]
    pub(crate) fn with(mut self, role: Role) -> Self {
        if !self.0.contains(&role) {
            self.0.push(role);
        }
        self
    }

    pub(crate) fn to_vec(&self) -> Vec<Role> {
        self.0.clone()
    }
}

impl ToSql<sql_types::Array<sql_types::Text>, Pg> for Roles {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let names: Vec<&str> = self.0.iter().map(|role| role.as_str()).collect();
        <Vec<&str> as ToSql<sql_types::Array<sql_types::Text>, Pg>>::to_sql(&names, &mut out.reborrow())
    }
}

impl FromSql<sql_types::Array<sql_types::Text>, Pg> for Roles {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let names = <Vec<String> as FromSql<sql_types::Array<sql_types::Text>, Pg>>::from_sql(value)?;
        Ok(Self(names.iter().map(|name| name.parse()).collect::<Result<_, String>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_held_once() {
        let customer = Roles(vec![Role::Customer]);
        assert_eq!(customer.clone().with(Role::Customer), customer);
        let staff = customer.with(Role::Staff);
        assert_eq!(staff.to_vec(), [Role::Customer, Role::Staff]);
        assert_eq!(staff.clone().with(Role::Staff), staff);
    }
}
