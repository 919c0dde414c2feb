//! Connections: bounded waits, and reads from a replica.

use std::time::Duration;

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use nats::{
    config::Settings,
    database::{Connection, Database, DatabaseError},
    problem::{Code, Problem},
};
use stack::{
    postgres::{Data, Postgres},
    scratch::Scratch,
};

/// A server of the test's own, with two databases.
struct Server {
    postgres: Postgres,
    primary: String,
    replica: String,
    _scratch: Scratch,
}

impl Server {
    async fn start() -> Self {
        let scratch = Scratch::new("database").unwrap();
        let postgres = Postgres::start(scratch.path(), None, Data::Scratch).await.unwrap();
        let primary = postgres.create_database("one", "one", "one").await.unwrap();
        let replica = postgres.create_database("other", "other", "other").await.unwrap();
        Self { postgres, primary, replica, _scratch: scratch }
    }

    async fn open(&self, settings: &[(&str, &str)]) -> Database {
        let mut all = Settings::default().with("DATABASE_URL", self.primary.clone());
        for (name, value) in settings {
            all = all.with(name, (*value).to_owned());
        }
        Database::open(&all, crate::probe::MIGRATIONS).await.unwrap()
    }
}

async fn name_of(connection: &mut AsyncPgConnection) -> String {
    #[derive(QueryableByName)]
    struct Name {
        #[diesel(sql_type = sql_types::Text)]
        name: String,
    }
    let name: Name = sql_query("select current_database()::text as name").get_result(connection).await.unwrap();
    name.name
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_a_moment_old_is_read_from_the_replica() {
    let server = Server::start().await;
    let database = server.open(&[("DATABASE_REPLICA_URL", &server.replica)]).await;
    assert_eq!(name_of(&mut database.replica().await.unwrap()).await, "other");
    assert_eq!(name_of(&mut database.connection().await.unwrap()).await, "one");
    assert_eq!(name_of(&mut database.begin().await.unwrap()).await, "one", "what decides is read where it is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_replica_and_when_it_is_away_the_primary_answers() {
    let server = Server::start().await;
    assert_eq!(name_of(&mut server.open(&[]).await.replica().await.unwrap()).await, "one");
    let away = server.replica.replace(&format!(":{}", server.postgres.port()), ":1");
    let database = server.open(&[("DATABASE_REPLICA_URL", &away)]).await;
    assert_eq!(name_of(&mut database.replica().await.unwrap()).await, "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_lock_for_longer_than_callers_wait() {
    let server = Server::start().await;
    let database = server.open(&[]).await;
    let mut holder = database.begin().await.unwrap();
    let lock = "select pg_advisory_xact_lock(7)";
    holder.batch_execute(lock).await.unwrap();
    let mut waiting: Connection = database.connection().await.unwrap();
    let refused = tokio::time::timeout(Duration::from_secs(10), waiting.batch_execute(lock)).await;
    let error = DatabaseError::from(refused.expect("the wait ends by itself").expect_err("it is held"));
    assert!(error.is_unavailable(), "the database was too slow, no statement was wrong: {error}");
    let problem = Problem::from(error);
    assert_eq!(problem.code(), Code::Timeout, "{problem}");
    holder.commit().await.unwrap();
    waiting.batch_execute(lock).await.expect("the connection is good, and the lock is free");
}
