//! Each part starts for real, does its work, and comes back after a kill.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use stack::mail::MailCatcher;
use stack::nats_server::NatsServer;
use stack::postgres::{Data, Postgres};
use stack::redis::Redis;
use stack::scratch::Scratch;
use stack::wait::wait_for;
use stack::{StackError, ports, weasyprint};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const BOUND: Duration = Duration::from_secs(10);

async fn can_connect(url: &str) -> Result<(), String> {
    run(url, "SELECT 1").await
}

async fn run(url: &str, sql: &str) -> Result<(), String> {
    let mut connection = AsyncPgConnection::establish(url).await.map_err(|error| error.to_string())?;
    connection.batch_execute(sql).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn postgres_makes_databases_and_survives_a_kill() {
    let scratch = Scratch::new("postgres").unwrap();
    let mut postgres = Postgres::start(scratch.path(), None, Data::Scratch).await.unwrap();
    let (orders, stock) = tokio::join!(
        postgres.create_database("argosy_order", "argosy_order", "it's @ secret/1"),
        postgres.create_database("argosy_catalog", "argosy_catalog", "other"),
    );
    let (orders, stock) = (orders.unwrap(), stock.unwrap());
    can_connect(&orders).await.unwrap();
    can_connect(&stock).await.unwrap();
    can_connect(&postgres.url("postgres")).await.unwrap();

    // Nobody gets in with a wrong password, or into another service's database.
    can_connect(&postgres.url_as("argosy_order", "argosy_order", "wrong")).await.unwrap_err();
    can_connect(&postgres.url_as("argosy_catalog", "argosy_order", "it's @ secret/1")).await.unwrap_err();

    // What exists is kept; copies hold what the original held.
    postgres.psql("argosy_order", "CREATE TABLE kept (x int); INSERT INTO kept VALUES (7);").await.unwrap();
    let again = postgres.create_database("argosy_order", "argosy_order", "new").await.unwrap();
    can_connect(&again).await.unwrap();
    postgres.clone_database("argosy_order", "copy", "argosy_order", "new").await.unwrap();
    assert_eq!(postgres.psql("copy", "SELECT x, x + 1 FROM kept").await.unwrap(), "7|8");
    postgres.drop_database("copy").await.unwrap();
    let error = postgres.psql("copy", "SELECT 1").await.unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
    postgres.create_database("x; DROP DATABASE y", "z", "").await.unwrap_err();

    // A session that is busy when the server is killed goes on until it has finished.
    let busy = "DO $$ DECLARE until timestamptz := clock_timestamp() + interval '300 ms'; \
                BEGIN WHILE clock_timestamp() < until LOOP END LOOP; END $$";
    let active = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()";
    let url = postgres.url("postgres");
    let killed = async {
        let seen = async || postgres.psql("postgres", active).await.map(|rows| (!rows.is_empty()).then_some(()));
        wait_for("the busy session", BOUND, seen).await.unwrap();
        postgres.process().kill();
        postgres.restart().await.unwrap();
    };
    let _ = tokio::join!(run(&url, busy), killed);
    can_connect(&again).await.unwrap();
}

#[tokio::test]
async fn postgres_keeps_its_data() {
    let scratch = Scratch::new("kept").unwrap();
    let first = Postgres::start(scratch.path(), None, Data::Kept).await.unwrap();
    first.psql("postgres", "CREATE TABLE kept (x int);").await.unwrap();
    first.process().terminate().await;
    drop(first);
    let second = Postgres::start(scratch.path(), None, Data::Kept).await.unwrap();
    second.psql("postgres", "SELECT x FROM kept;").await.unwrap();
}

#[tokio::test]
async fn nats_server_starts_and_survives_a_kill() {
    let scratch = Scratch::new("nats").unwrap();
    let config = scratch.path().join("nats.conf");
    std::fs::write(&config, "server_name: $NAME\njetstream {}\n").unwrap();
    let mut nats = NatsServer::start(&config, scratch.path(), None, &[("NAME", "argosy-test")]).await.unwrap();
    let client = async_nats::connect(nats.url()).await.unwrap();
    assert_eq!(client.server_info().server_name, "argosy-test");
    let varz = reqwest::get(format!("{}/varz", nats.monitoring_url())).await.unwrap().text().await.unwrap();
    assert!(varz.contains("jetstream"));

    nats.process().kill();
    nats.restart().await.unwrap();
    async_nats::connect(nats.url()).await.unwrap();
}

#[tokio::test]
async fn a_broken_configuration_is_shown() {
    let scratch = Scratch::new("nats").unwrap();
    let config = scratch.path().join("nats.conf");
    std::fs::write(&config, "jetstream {{\n").unwrap();
    let error = NatsServer::start(&config, scratch.path(), None, &[]).await.unwrap_err();
    assert!(error.to_string().contains("ended while starting"), "{error}");
    assert!(error.to_string().contains("Parse error on line 2"), "{error}");
    assert!(!error.is_port_taken());
}

#[tokio::test]
async fn redis_answers_and_survives_a_kill() {
    let scratch = Scratch::new("redis").unwrap();
    let mut redis = Redis::start(scratch.path(), None).await.unwrap();
    assert_eq!(ping(redis.port()).await, "+PONG\r\n");
    redis.process().kill();
    redis.restart().await.unwrap();
    assert_eq!(ping(redis.port()).await, "+PONG\r\n");
}

async fn ping(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"PING\r\nQUIT\r\n").await.unwrap();
    let mut answer = vec![0; 7];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_mail_catcher_catches_and_keeps() {
    let scratch = Scratch::new("mail").unwrap();
    let mut catcher = MailCatcher::start(scratch.path(), None, None).await.unwrap();
    send(catcher.smtp_port(), "ann@example.org", "Your order 1").await;
    send(catcher.smtp_port(), "bob@example.org", "Your order 2").await;
    let mail = catcher.wait_for_mail("Ann@example.org", "order", BOUND).await.unwrap();
    assert_eq!(mail.subject, "Your order 1");
    assert_eq!(mail.text.trim(), "Thank you.");
    assert_eq!(mail.from[0].address, "shop@argosy.example");
    catcher.wait_for_mail("bob@example.org", "order 2", BOUND).await.unwrap();

    let missing = catcher.wait_for_mail("ann@example.org", "refund", Duration::from_millis(50)).await.unwrap_err();
    assert!(missing.to_string().contains("Your order 1 to ann@example.org"), "{missing}");

    catcher.process().kill();
    catcher.restart().await.unwrap();
    catcher.wait_for_mail("ann@example.org", "order", BOUND).await.unwrap();
    catcher.wait_for_mail("bob@example.org", "order", BOUND).await.unwrap();
}

/// SMTP as it is typed by hand.
async fn send(port: u16, to: &str, subject: &str) {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    let body = format!("From: Shop <shop@argosy.example>\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nThank you.\r\n.\r\n");
    let rcpt = format!("RCPT TO:<{to}>\r\n");
    let dialog = ["HELO test\r\n", "MAIL FROM:<shop@argosy.example>\r\n", &rcpt, "DATA\r\n", &body, "QUIT\r\n"];
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    for say in dialog {
        stream.get_mut().write_all(say.as_bytes()).await.unwrap();
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        assert!(line.starts_with(['2', '3']), "{say} -> {line}");
    }
}

#[tokio::test]
async fn weasyprint_is_there() {
    let output = tokio::process::Command::new(weasyprint::binary().unwrap()).arg("--version").output().await.unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("70.0"));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = ports::claim(port, "GATEWAY_PORT").unwrap_err();
    assert!(error.is_port_taken());
    assert!(error.to_string().contains(&format!("port {port} is in use")), "{error}");
    assert!(error.to_string().contains("set GATEWAY_PORT"), "{error}");
    assert_ne!(ports::prefer(port).unwrap(), port);

    let scratch = Scratch::new("redis").unwrap();
    let error = Redis::start(scratch.path(), Some(port)).await.unwrap_err();
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    drop(listener);
    assert_eq!(ports::claim(port, "GATEWAY_PORT").unwrap(), port);
}

#[tokio::test]
async fn waiting_says_what_was_missing() {
    let bound = Duration::from_millis(40);
    let error = wait_for("the order", bound, async || Err::<Option<()>, _>("it is still pending")).await.unwrap_err();
    assert_eq!(error.to_string(), "waited 40ms for the order: it is still pending");
    // A look that hangs is cut off.
    let hung: Result<(), StackError> = wait_for("ever", bound, async || {
        std::future::pending::<()>().await;
        Ok::<_, StackError>(None)
    })
    .await;
    assert!(hung.unwrap_err().to_string().contains("did not return"));
    let looks = AtomicU32::new(0);
    let found = wait_for("three", BOUND, async || {
        let look = looks.fetch_add(1, Ordering::Relaxed);
        Ok::<_, StackError>((look == 3).then_some(look))
    });
    assert_eq!(found.await.unwrap(), 3);
}

/// `make up` starts the parts in tasks of their own.
#[test]
fn starting_can_be_spawned() {
    fn spawnable(_: impl Future + Send) {}
    let dir = std::path::Path::new("/nowhere");
    spawnable(Postgres::start(dir, None, Data::Scratch));
    spawnable(NatsServer::start(dir, dir, None, &[]));
    spawnable(Redis::start(dir, None));
    spawnable(MailCatcher::start(dir, None, None));
}
