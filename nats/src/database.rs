//! PostgreSQL: a pool, migrations at start, and transactions that carry events.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `DATABASE_URL` | `postgres://role:password@host:port/database` | required |
//! | `DATABASE_POOL` | connections at most, to each of the two | 16 |
//! | `DATABASE_REPLICA_URL` | a read replica, for reading what may be a moment old | reads go to `DATABASE_URL` |
//!
//! Trap: dropping a [`Tx`] rolls it back, a moment later, in a task of its own. Commit what should last.

pub(crate) mod schema;
mod sql;

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use crate::{
    config::{SettingError, Settings},
    work::Wake,
};
use diesel::{migration::MigrationSource, pg::Pg, sql_types};
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl,
    SimpleAsyncConnection, TransactionManager,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, PoolError, RecyclingMethod,
        deadpool::{Hook, HookError, Object, Pool},
    },
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::FutureExt;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use sql::{Bound, Sql, sql};

const RUNTIME_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
/// Held while migrating, so that instances that start together do it one after the other.
const MIGRATION_LOCK: i64 = 0x61_72_67_6f_73_79;
const CONNECT_WITHIN: Duration = Duration::from_secs(60);
/// A connection that was in use so recently is used again without asking whether it still is one.
const TRUSTED: Duration = Duration::from_secs(1);
/// How long that is asked.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// How PostgreSQL begins to say, under codes that diesel does not tell apart, that it stops or starts (57P01 to 57P03), or
/// that a lock or a statement took too long (55P03, 57014).
const AWAY: [&str; 3] = ["terminating connection", "the database system is", "canceling statement due to"];

/// What goes wrong between us and PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No connection could be had; nothing was done.
    #[error("the database cannot be reached: {reason}")]
    Unreachable {
        /// The driver's or the pool's own words.
        reason: String,
    },
    /// A statement failed.
    #[error("a statement failed: {source}")]
    Query {
        /// The driver's error.
        #[from]
        source: diesel::result::Error,
    },
}

impl DatabaseError {
    /// Whether the database was away or too slow, rather than a statement wrong. What a lost connection had begun may have
    /// been done.
    pub fn is_unavailable(&self) -> bool {
        use diesel::result::{DatabaseErrorKind as Kind, Error};
        match self {
            Self::Unreachable { .. } => true,
            Self::Query { source } => match source {
                Error::DatabaseError(Kind::ClosedConnection | Kind::UnableToSendCommand, _)
                | Error::BrokenTransactionManager => true,
                Error::DatabaseError(Kind::Unknown, words) => AWAY.iter().any(|away| words.message().starts_with(away)),
                _ => false,
            },
        }
    }
}

/// A pool of connections to the service's own database.
#[derive(Clone)]
pub struct Database {
    pool: Pool<AsyncPgConnection>,
    replica: Option<Pool<AsyncPgConnection>>,
    url: Arc<str>,
    /// Wakes the relay.
    relay: Wake,
    /// How many connections work in the background may hold.
    turns: Arc<Semaphore>,
}

impl Database {
    /// Waits for PostgreSQL, brings the schema up to date, and opens the pool.
    ///
    /// # Errors
    /// When a setting is missing, the server stays away for a minute, or a migration fails.
    pub async fn open(settings: &Settings, migrations: EmbeddedMigrations) -> Result<Self, OpenError> {
        let url = guarded(&settings.require("DATABASE_URL")?);
        let size = settings.parse("DATABASE_POOL", 16_usize)?;
        let connection = connect_patiently(&url).await?;
        migrate(connection, migrations).await?;
        let pool = open_pool(&url, size)?;
        let replica = settings.get("DATABASE_REPLICA_URL")?;
        let replica = replica.map(|url| open_pool(&guarded(&url), size)).transpose()?;
        Ok(Self {
            pool,
            replica,
            url: url.into(),
            relay: Wake::default(),
            turns: Arc::new(Semaphore::new((size / 2).max(1))),
        })
    }

    /// A connection for reading; each statement is its own transaction.
    ///
    /// # Errors
    /// [`DatabaseError::Unreachable`] when none can be had within five seconds.
    pub async fn connection(&self) -> Result<Connection, DatabaseError> {
        self.pool.get().await.map_err(|error| DatabaseError::Unreachable { reason: error.to_string() })
    }

    /// A connection for reading what may be a moment old, from the replica when there is one that answers. Never for
    /// deciding what to write, nor for showing people what they have just written.
    ///
    /// # Errors
    /// As [`Database::connection`].
    pub async fn replica(&self) -> Result<Connection, DatabaseError> {
        let Some(replica) = &self.replica else { return self.connection().await };
        match replica.get().await {
            Ok(connection) => Ok(connection),
            Err(error) => {
                tracing::warn!(%error, "the read replica does not answer; reading from the primary");
                self.connection().await
            }
        }
    }

    /// Begins a transaction (read committed).
    ///
    /// # Errors
    /// As [`Database::connection`], or when `BEGIN` fails.
    pub async fn begin(&self) -> Result<Tx, DatabaseError> {
        let mut connection = self.connection().await?;
        AnsiTransactionManager::begin_transaction(&mut *connection)
            .await
            .map_err(|error| DatabaseError::Unreachable { reason: error.to_string() })?;
        Ok(Tx { connection: Some(connection), relay: self.relay.clone(), wakes: Vec::new() })
    }

    /// A turn to use a connection in the background; requests keep the other half of the pool.
    pub(crate) async fn background(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// A connection outside of the pool, for whoever keeps one for life (the relay and its locks).
    pub(crate) async fn dedicated(&self) -> Result<AsyncPgConnection, DatabaseError> {
        AsyncPgConnection::establish(&self.url)
            .await
            .map_err(|error| DatabaseError::Unreachable { reason: error.to_string() })
    }

    /// Woken by each commit that recorded events.
    pub(crate) const fn relay(&self) -> &Wake {
        &self.relay
    }
}

fn open_pool(url: &str, size: usize) -> Result<Pool<AsyncPgConnection>, OpenError> {
    let mut config = ManagerConfig::default();
    config.recycling_method = RecyclingMethod::Fast;
    Pool::builder(AsyncDieselConnectionManager::<AsyncPgConnection>::new_with_config(url, config))
        .pre_recycle(Hook::async_fn(|connection, metrics| {
            let trusted = metrics.last_used() < TRUSTED;
            async move { if trusted { Ok(()) } else { still_there(connection).await } }.boxed()
        }))
        .max_size(size)
        .wait_timeout(Some(Duration::from_secs(5)))
        .create_timeout(Some(Duration::from_secs(5)))
        .recycle_timeout(Some(Duration::from_secs(2)))
        .runtime(deadpool::Runtime::Tokio1)
        .build()
        .map_err(|error| OpenError::Unreachable(error.to_string()))
}

/// Asks for a sign of life. Whether the socket is open is looked at each time; this finds the peer that has gone silently.
async fn still_there(connection: &mut AsyncPgConnection) -> Result<(), HookError> {
    match tokio::time::timeout(SIGN_OF_LIFE, sql("select 1").execute(connection)).await {
        Ok(asked) => asked.map(drop).map_err(|error| HookError::Backend(PoolError::QueryError(error))),
        Err(_elapsed) => Err(HookError::message("the connection is silent")),
    }
}

/// A pooled connection.
pub type Connection = Object<AsyncPgConnection>;

/// One transaction: state, events and inbox row commit together or not at all.
///
/// It dereferences to the connection, so diesel's queries run on it as they are.
pub struct Tx {
    connection: Option<Connection>,
    pub(crate) relay: Wake,
    /// Who is told of the commit.
    pub(crate) wakes: Vec<Wake>,
}

impl Tx {
    /// Commits, and wakes whoever waits for that: the relay when events were recorded, workers.
    ///
    /// # Errors
    /// When the commit fails or its outcome is unknown; the state is then what PostgreSQL says it is.
    pub async fn commit(mut self) -> Result<(), DatabaseError> {
        if let Some(mut connection) = self.connection.take() {
            AnsiTransactionManager::commit_transaction(&mut *connection).await?;
            self.wakes.iter().for_each(Wake::now);
        }
        Ok(())
    }

    /// Rolls back now, where the caller needs the locks gone before going on.
    ///
    /// # Errors
    /// When the connection is lost, which rolls back as well.
    pub async fn roll_back(mut self) -> Result<(), DatabaseError> {
        if let Some(mut connection) = self.connection.take() {
            AnsiTransactionManager::rollback_transaction(&mut *connection).await?;
        }
        Ok(())
    }
}

impl Deref for Tx {
    type Target = AsyncPgConnection;

    #[expect(
        clippy::expect_used,
        reason = "only commit, roll_back and drop take the connection, and each consumes the Tx"
    )]
    fn deref(&self) -> &Self::Target {
        self.connection.as_ref().expect("an open transaction has its connection")
    }
}

impl DerefMut for Tx {
    #[expect(
        clippy::expect_used,
        reason = "only commit, roll_back and drop take the connection, and each consumes the Tx"
    )]
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.connection.as_mut().expect("an open transaction has its connection")
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // Without a task of its own the pool would find an open transaction and throw the connection away.
        runtime.spawn(async move {
            let rollback = AnsiTransactionManager::rollback_transaction(&mut *connection);
            if !matches!(tokio::time::timeout(Duration::from_secs(5), rollback).await, Ok(Ok(()))) {
                tracing::debug!("rolling back failed; the connection is dropped");
            }
        });
    }
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The server cannot be reached.
    #[error(
        "PostgreSQL cannot be reached at DATABASE_URL; is it running, and are role, password and database right? ({0})"
    )]
    Unreachable(String),
    /// A migration failed.
    #[error("a database migration failed: {0}")]
    Migration(String),
}

/// The URL with bounds on every wait: a peer that has gone silent is noticed within seconds, on both ends. Nobody waits
/// longer for a row's lock than callers wait for an answer, and a stalled holder is put out soon after.
///
/// A plan that was made while a table was small is kept: so an index is used from the first row on, and never a scan of
/// what has grown meanwhile. What has no index is read all the same; compiling it, because its cost looks immense, would
/// only take time.
fn guarded(url: &str) -> String {
    const BOUNDS: &str = "keepalives_idle=5&keepalives_interval=5&keepalives_retries=3&tcp_user_timeout=15&connect_timeout=5\
        &options=-c%20statement_timeout%3D30s%20-c%20lock_timeout%3D3s%20-c%20idle_in_transaction_session_timeout%3D10s\
        %20-c%20enable_seqscan%3Doff%20-c%20jit%3Doff\
        %20-c%20tcp_keepalives_idle%3D5%20-c%20tcp_keepalives_interval%3D5%20-c%20tcp_keepalives_count%3D3";
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{BOUNDS}")
}

async fn connect_patiently(url: &str) -> Result<AsyncPgConnection, OpenError> {
    let started = tokio::time::Instant::now();
    let mut delay = Duration::from_millis(50);
    loop {
        match AsyncPgConnection::establish(url).await {
            Ok(connection) => return Ok(connection),
            Err(error) if started.elapsed() > CONNECT_WITHIN => return Err(OpenError::Unreachable(error.to_string())),
            Err(error) => {
                tracing::warn!(%error, "waiting for PostgreSQL");
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(Duration::from_secs(2));
            }
        }
    }
}

async fn migrate(mut connection: AsyncPgConnection, own: EmbeddedMigrations) -> Result<(), OpenError> {
    let failed = |error: &dyn std::fmt::Display| OpenError::Migration(error.to_string());
    // Another instance may migrate a large table for as long as it takes.
    connection
        .batch_execute("set lock_timeout = 0; set statement_timeout = 0")
        .await
        .map_err(|error| failed(&error))?;
    sql("select pg_advisory_lock($1)")
        .bind::<sql_types::BigInt, _>(MIGRATION_LOCK)
        .execute(&mut connection)
        .await
        .map_err(|error| failed(&error))?;
    let mut harness = AsyncMigrationHarness::new(connection);
    run_pending(&mut harness, RUNTIME_MIGRATIONS)?;
    run_pending(&mut harness, own)?;
    let mut connection = harness.into_inner();
    connection.batch_execute("select pg_advisory_unlock_all()").await.map_err(|error| failed(&error))
}

fn run_pending(
    harness: &mut AsyncMigrationHarness<AsyncPgConnection>,
    source: impl MigrationSource<Pg>,
) -> Result<(), OpenError> {
    let applied = harness.run_pending_migrations(source).map_err(|error| OpenError::Migration(error.to_string()))?;
    for version in applied {
        tracing::info!(%version, "migrated");
    }
    Ok(())
}
