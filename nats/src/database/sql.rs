//! SQL as it is written, prepared once per connection.
//!
//! diesel's `sql_query` is parsed and planned anew each time that it runs. [`sql`] takes constant text only, so that each
//! connection can keep what it prepared; it is loaded and executed as `sql_query` is, with rows that are
//! `QueryableByName`.
//!
//! Trap: values belong into binds. Text that is put together at run time would fill the memory of every connection.

use std::marker::PhantomData;

use diesel::{
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    result::QueryResult,
    serialize::ToSql,
    sql_types::{HasSqlType, Untyped},
};

/// A statement of constant text, without its values yet.
#[derive(Debug, Clone, Copy)]
#[must_use = "a statement runs when it is loaded or executed"]
pub struct Sql(&'static str);

/// A statement of constant text. Its values are `$1`, `$2` … in the order in which they are bound.
pub const fn sql(text: &'static str) -> Sql {
    Sql(text)
}

/// A statement with one more value, of the SQL type `T`.
#[derive(Debug, Clone, Copy)]
#[must_use = "a statement runs when it is loaded or executed"]
pub struct Bound<S, V, T> {
    statement: S,
    value: V,
    kind: PhantomData<T>,
}

impl Sql {
    /// Gives the next value.
    pub const fn bind<T, V>(self, value: V) -> Bound<Self, V, T> {
        Bound { statement: self, value, kind: PhantomData }
    }
}

impl<S, V, T> Bound<S, V, T> {
    /// Gives the next value.
    pub fn bind<T2, V2>(self, value: V2) -> Bound<Self, V2, T2> {
        Bound { statement: self, value, kind: PhantomData }
    }
}

impl QueryFragment<Pg> for Sql {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(self.0);
        Ok(())
    }
}

impl<S, V, T> QueryFragment<Pg> for Bound<S, V, T>
where
    Pg: HasSqlType<T>,
    S: QueryFragment<Pg>,
    V: ToSql<T, Pg>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.statement.walk_ast(out.reborrow())?;
        out.push_bind_param_value_only(&self.value)
    }
}

// No static id: what was prepared is found by the text and the values' types.
impl QueryId for Sql {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<S, V, T> QueryId for Bound<S, V, T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Sql {
    type SqlType = Untyped;
}

impl<S, V, T> Query for Bound<S, V, T> {
    type SqlType = Untyped;
}
