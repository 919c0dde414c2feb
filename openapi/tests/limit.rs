//! How many requests a caller may send.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use stack::{redis::Redis, scratch::Scratch};

use crate::scene::{Answer, Door, Scene};

/// Little comes back while a test runs.
const THREE_READS: (&str, &str) = ("LIMITS", "read=3/3600 sign_in=2/3600");
/// Lets a test choose the address of its clients.
const BEHIND_A_PROXY: (&str, &str) = ("TRUSTED_PROXIES", "1");

/// However busy the machine is, no count goes astray.
const PATIENT: (&str, &str) = ("REDIS_TIMEOUT_MS", "10000");

async fn redis() -> (Redis, Scratch) {
    let scratch = Scratch::new("redis").unwrap();
    (Redis::start(scratch.path(), None).await.unwrap(), scratch)
}

/// The statuses of so many reads, one after the other.
async fn reads(door: &Door, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(door.get("/v1/products").await.status);
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_gets_the_quota_and_is_told_how_it_stands() {
    let scene = Scene::set().await;
    let (redis, _scratch) = redis().await;
    let url = redis.url();

    for settings in [vec![THREE_READS], vec![THREE_READS, PATIENT, ("REDIS_URL", &url)]] {
        let door = scene.gateway(&settings).await;
        for standing in ["\"read\";r=2;t=1200", "\"read\";r=1;t=2400", "\"read\";r=0;t=3600"] {
            let answer = door.get("/v1/products").await;
            assert_eq!((answer.status, answer.header("ratelimit")), (200, standing));
            assert_eq!(answer.header("ratelimit-policy"), "\"read\";q=3;w=3600");
            assert_eq!(answer.header("retry-after"), "");
        }
        let refused = door.get("/v1/products").await;
        assert_eq!(refused.code(), (429, "too_many_requests".to_owned()), "{}", refused.detail());
        assert_eq!((refused.header("ratelimit"), refused.header("retry-after")), ("\"read\";r=0;t=3600", "1200"));
        assert_eq!(refused.header("ratelimit-policy"), "\"read\";q=3;w=3600");
        // Signing in is counted by itself, whatever comes of it; nobody runs svc-user here.
        let unavailable = door.sign_in().await;
        assert_eq!((unavailable.status, unavailable.header("ratelimit")), (503, "\"sign_in\";r=1;t=1800"));
        // What costs no service anything is not counted.
        for path in ["/openapi.json", "/problems/too_many_requests", "/livez"] {
            let answer = door.get(path).await;
            assert_eq!((answer.status, answer.header("ratelimit")), (200, ""), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_counted_apart() {
    let scene = Scene::set().await;
    let (redis, _scratch) = redis().await;
    let door = scene.gateway(&[THREE_READS, BEHIND_A_PROXY, PATIENT, ("REDIS_URL", &redis.url())]).await;
    let (ines, omar) = (scene.token(), scene.token());

    for caller in 0..3 {
        for standing in [200, 200, 200, 429] {
            let answer = match caller {
                0 => door.read_as(&ines).await,
                1 => door.read_as(&omar).await,
                _ => door.read_from("198.51.100.7").await,
            };
            assert_eq!(answer.status, standing, "caller {caller}");
        }
    }
    assert_eq!(door.read_from("198.51.100.8").await.status, 200);
    assert_eq!(
        door.read_from("6.6.6.6, 198.51.100.7").await.status,
        429,
        "what a client writes itself is not believed"
    );
    for (address, status) in [("1", 200), ("2", 200), ("3", 200), ("4", 429)] {
        assert_eq!(door.read_from(&format!("2001:db8::{address}")).await.status, status, "a /64 is one caller");
    }
    assert_eq!(door.read_from("2001:db8:0:1::1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_counts_where_it_came_from() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[THREE_READS]).await;

    for status in [401, 401, 401, 429] {
        assert_eq!(door.read_as("guessed").await.status, status);
    }
    assert_eq!(door.read_as(&scene.token()).await.status, 200, "a good one counts for its user");
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_share_one_limit() {
    let scene = Scene::set().await;
    let (redis, _scratch) = redis().await;
    let url = redis.url();
    let settings = [("LIMITS", "read=20/3600"), PATIENT, ("REDIS_URL", url.as_str())];
    let doors = [scene.gateway(&settings).await, scene.gateway(&settings).await];

    let answers = join_all((0..60).map(|turn| doors[turn % 2].get("/v1/products"))).await;

    let taken = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(taken, 20);
    assert!(answers.iter().all(|answer| [200, 429].contains(&answer.status)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_costs_one_question_to_redis() {
    let scene = Scene::set().await;
    let (redis, _scratch) = redis().await;
    let door = scene.gateway(&[PATIENT, ("REDIS_URL", &redis.url())]).await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut questions = async || {
        let figures: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
        let calls = |command: &str| {
            let line = figures.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
            line.map_or(0, |line| line.split(',').next().unwrap().parse::<u64>().unwrap())
        };
        (calls("evalsha"), calls("eval"), calls("script|load"))
    };
    // The first one brings the script along.
    assert_eq!(reads(&door, 1).await, [200]);
    let (first, ..) = questions().await;

    assert_eq!(reads(&door, 10).await, [200; 10]);
    assert_eq!(questions().await, (first + 10, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_reading_goes_on_and_signing_in_stays_throttled() {
    let scene = Scene::set().await;
    let (mut redis, _scratch) = redis().await;
    let url = redis.url();
    let settings = [("LIMITS", "read=1000/3600 sign_in=3/3600"), ("REDIS_URL", url.as_str()), PATIENT, BEHIND_A_PROXY];
    let door = scene.gateway(&settings).await;
    let sign_in_from = async |address: &str| {
        let request = door.request(Method::POST, "/v1/auth/login").header("X-Forwarded-For", address);
        Answer::of(request.json(&serde_json::json!({}))).await.status
    };
    for status in [503, 503, 503, 429] {
        assert_eq!(sign_in_from("198.51.100.7").await, status);
    }

    redis.process().kill();

    assert_eq!(reads(&door, 20).await, [200; 20]);
    assert_eq!(sign_in_from("198.51.100.7").await, 429, "who was throttled stays so");
    for status in [503, 503, 503, 429] {
        assert_eq!(sign_in_from("198.51.100.8").await, status, "others are throttled by this gateway");
    }

    redis.restart().await.unwrap();

    // Redis has forgotten everybody: that it counts again is seen by whom the gateway would refuse.
    scene
        .bed
        .wait_for("the shared limit", || async { (sign_in_from("198.51.100.7").await != 429).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_holds_nobody_up() {
    let scene = Scene::set().await;
    let (redis, _scratch) = redis().await;
    let door = scene.gateway(&[("LIMITS", "read=1000/3600"), ("REDIS_URL", &redis.url())]).await;
    assert_eq!(reads(&door, 3).await, [200; 3]);

    redis.process().pause().unwrap();

    let started = Instant::now();
    assert_eq!(reads(&door, 50).await, [200; 50]);
    // Three wait for 50 ms; then one a second.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    redis.process().resume().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_setting_is_named() {
    let scene = Scene::set().await;
    for (name, value) in [
        ("LIMITS", "walk=1/1"),
        ("REDIS_URL", "http://redis"),
        ("CORS_ORIGINS", "*"),
        ("TRUSTED_PROXIES", "-1"),
        ("CLIENT_TIMEOUT_MS", "0"),
    ] {
        let settings = scene.bed.settings("bed").with("LISTEN", "127.0.0.1:0").with(name, value);
        let error = openapi::Gateway::start(settings).await.err().expect("a refusal").to_string();
        assert!(error.contains(name), "{error}");
    }
}
