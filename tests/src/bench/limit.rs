//! The limits: what this machine does when nobody does anything but the one thing.

use std::path::{Path, PathBuf};

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use poem::{EndpointExt, Route, Server, endpoint::make_sync, listener::TcpListener};

use crate::{Result, error::Doing, ports, postgres::Postgres, process::Process, tools};

/// The rows that an order leaves, without anything that makes them an order: two updates of stock under their guard, the
/// order, its lines, its reservations, its event.
const TABLES: &str = "
    create table stock (sku text primary key, on_hand integer not null, reserved integer not null default 0,
                        check (reserved <= on_hand));
    insert into stock select 'sku-' || n, 1000000000 from generate_series(1, 1000) as n;
    create table orders (id uuid primary key, number text not null, user_id uuid not null, status text not null,
                         currency text not null, total bigint not null, address jsonb not null,
                         placed_at timestamptz not null default now());
    create index on orders (user_id, id);
    create table line (order_id uuid not null, position integer not null, sku text not null, quantity integer not null,
                       unit_price bigint not null, primary key (order_id, position));
    create table reservation (order_id uuid not null, sku text not null, quantity integer not null,
                              primary key (order_id, sku));
    create table event (id bigint generated always as identity primary key, subject text not null, payload jsonb not null);";

/// One order; `%A` and `%B` choose its goods.
const ORDER: &str = r#"
\set a %A
\set b %B
begin;
update stock set reserved = reserved + 1 where sku = 'sku-' || :a and on_hand - reserved >= 1;
update stock set reserved = reserved + 1 where sku = 'sku-' || :b and on_hand - reserved >= 1;
select gen_random_uuid() as id \gset
insert into orders (id, number, user_id, status, currency, total, address)
    values (:'id', 'A-' || :a, gen_random_uuid(), 'pending', 'EUR', 4488,
            '{"name":"Clara Kunde","line1":"Speicherstadt 4","city":"Hamburg","postal_code":"20457","country":"DE"}');
insert into line values (:'id', 1, 'sku-' || :a, 1, 1999), (:'id', 2, 'sku-' || :b, 1, 1999);
insert into reservation values (:'id', 'sku-' || :a, 1), (:'id', 'sku-' || :b, 1);
insert into event (subject, payload) values ('evt.order.placed.' || :'id', '{"order_id":"x","total":{"amount":4488,"currency":"EUR"}}');
commit;
"#;

/// PostgreSQL alone, in the same server as the services' databases.
pub(super) struct Limit {
    pub(super) url: String,
    directory: PathBuf,
}

impl Limit {
    /// Makes its tables.
    pub(super) async fn open(postgres: &Postgres, directory: &Path) -> Result<Self> {
        let url = postgres.create_database("bench_limit", "bench_limit", "bench_limit").await?;
        let mut connection = AsyncPgConnection::establish(&url).await.doing(|| "connect to the limit".to_owned())?;
        connection
            .batch_execute(&format!("drop schema public cascade; create schema public; {TABLES}"))
            .await
            .doing(|| "make the tables of the limit".to_owned())?;
        Ok(Self { url, directory: directory.to_owned() })
    }

    /// The script of one order; on two SKUs that everybody wants, or on any two.
    pub(super) fn script(&self, hot: bool) -> Result<PathBuf> {
        // Of two rows the lower first, as everyone who does not want to deadlock does.
        let (a, b) = if hot { ("1", "2") } else { ("random(1, 500)", "random(501, 1000)") };
        let file = self.directory.join(if hot { "hot.sql" } else { "spread.sql" });
        let script = ORDER.replace("%A", a).replace("%B", b);
        std::fs::write(&file, script).doing(|| format!("write {}", file.display()))?;
        Ok(file)
    }
}

/// A web server that does nothing but serve the same bytes, in a process of its own.
pub(super) async fn bare_server(bytes: &Path, log: &Path) -> Result<(Process, String)> {
    let port = ports::free()?;
    let mut command = std::process::Command::new(tools::built("stack")?);
    command.arg("serve-bytes").arg(port.to_string()).arg(bytes);
    let process = Process::spawn("the bare server", command, log)?;
    let url = format!("http://127.0.0.1:{port}/");
    let answers = || async { reqwest::get(&url).await.map(|_| Some(())).map_err(|error| error.to_string()) };
    process.until_ready(std::time::Duration::from_secs(10), answers).await?;
    Ok((process, url))
}

/// Serves a file's bytes as JSON on a port of the loopback interface, until it is ended.
///
/// # Errors
/// When the file cannot be read, or the port is taken.
pub fn serve_bytes(port: &str, file: &str) -> Result<()> {
    let bytes = bytes::Bytes::from(std::fs::read(file).doing(|| format!("read {file}"))?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let answer = make_sync(move |_| {
        poem::Response::builder().content_type("application/json; charset=utf-8").body(bytes.clone())
    });
    let serving =
        Server::new(TcpListener::bind(format!("127.0.0.1:{port}"))).run(Route::new().at("*path", answer.boxed()));
    runtime.doing(|| "start".to_owned())?.block_on(serving).doing(|| format!("serve on {port}"))
}
