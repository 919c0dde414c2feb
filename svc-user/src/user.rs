//! Profiles: what we know of a person.

pub mod api;
pub(crate) mod change_password;
pub(crate) mod details;
pub(crate) mod grant_role;
pub(crate) mod roles;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper, insert_into,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::DatabaseError,
    types::{Email, Locale, Name, UserId},
};

use crate::schema::{lower, user};
use roles::Roles;

/// A row of `user`, without the password's hash: only signing in reads that.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = user)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    pub(crate) email: Email,
    pub(crate) name: Name,
    pub(crate) email_verified_at: Option<DateTime<Utc>>,
    pub(crate) locale: Locale,
    pub(crate) roles: Roles,
    pub(crate) created_at: DateTime<Utc>,
}

/// A person who registers.
#[derive(Insertable)]
#[diesel(table_name = user)]
pub(crate) struct NewAccount {
    pub(crate) id: UserId,
    pub(crate) email: Email,
    pub(crate) name: Name,
    /// None for whoever signs in by other means.
    pub(crate) password_hash: Option<String>,
    pub(crate) locale: Locale,
}

impl NewAccount {
    /// Inserts it; `None` when the e-mail address, in whatever case, belongs to an account.
    pub(crate) async fn insert(self, connection: &mut AsyncPgConnection) -> Result<Option<Account>, DatabaseError> {
        let inserted = insert_into(user::table)
            .values(self)
            .on_conflict_do_nothing()
            .returning(Account::as_returning())
            .get_result(connection)
            .await;
        Ok(inserted.optional()?)
    }
}

impl Account {
    pub(crate) async fn find(connection: &mut AsyncPgConnection, id: UserId) -> Result<Option<Self>, DatabaseError> {
        Ok(user::table.find(id).select(Self::as_select()).first(connection).await.optional()?)
    }

    /// Keeps others from changing the account until the transaction ends; `None` when there is none. Whoever needs this and
    /// locks on sessions, tokens or attempts, takes this one first.
    pub(crate) async fn lock(connection: &mut AsyncPgConnection, id: UserId) -> Result<Option<UserId>, DatabaseError> {
        Ok(user::table.find(id).select(user::id).for_no_key_update().first(connection).await.optional()?)
    }

    /// Keeps others from changing the password until the transaction ends; `None` when it is another one by now.
    pub(crate) async fn lock_with_password(
        connection: &mut AsyncPgConnection,
        id: UserId,
        password_hash: &str,
    ) -> Result<Option<UserId>, DatabaseError> {
        let unchanged = user::table.find(id).filter(user::password_hash.eq(password_hash));
        Ok(unchanged.select(user::id).for_share().first(connection).await.optional()?)
    }

    /// The account with this e-mail address, in whatever case.
    pub(crate) async fn with_email(
        connection: &mut AsyncPgConnection,
        email: &Email,
    ) -> Result<Option<Self>, DatabaseError> {
        Ok(Self::with_password_hash(connection, email).await?.map(|(account, _)| account))
    }

    /// The account with this e-mail address, in whatever case, and its password's hash, if it has a password.
    pub(crate) async fn with_password_hash(
        connection: &mut AsyncPgConnection,
        email: &Email,
    ) -> Result<Option<(Self, Option<String>)>, DatabaseError> {
        let found = user::table
            .filter(lower(user::email).eq(lower(email.as_str())))
            .select((Self::as_select(), user::password_hash))
            .first(connection)
            .await;
        Ok(found.optional()?)
    }

    /// Whether this e-mail address, in whatever case, belongs to an account.
    pub(crate) async fn exists(connection: &mut AsyncPgConnection, email: &Email) -> Result<bool, DatabaseError> {
        let taken = user::table.filter(lower(user::email).eq(lower(email.as_str())));
        Ok(diesel::select(diesel::dsl::exists(taken)).get_result(connection).await?)
    }
}
