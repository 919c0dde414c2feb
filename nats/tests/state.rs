//! Buckets of state, and the lock on them, as a service uses them and with no more rights.

use std::{
    collections::HashSet,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use futures_util::StreamExt;
use nats::{
    connect::jetstream,
    contracts::StateBucket,
    lock::{Lease, Lock},
    service::{Runtime, Service, StartError},
    state::{Change, Entry, State, StateError},
};
use serde::{Deserialize, Serialize};
use stack::{Bed, bed::BOUND};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/migrations");
const NOTES: StateBucket<Note> = StateBucket::new("notes", None, 1 << 20);
const BRIEF: StateBucket<Note> = StateBucket::new("brief", Some(Duration::from_secs(1)), 1 << 20);
const LOCKS: StateBucket<Lease> = StateBucket::new("locks", None, 1 << 20);
const LEASE: Duration = Duration::from_millis(1500);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    text: String,
}

fn note(text: &str) -> Note {
    Note { text: text.to_owned() }
}

/// What the job of the service under test has done, over all instances.
#[derive(Default)]
struct Job {
    running: AtomicUsize,
    most: AtomicUsize,
    runs: AtomicUsize,
    /// Which instances have run it.
    by: Mutex<HashSet<usize>>,
}

/// A service that keeps state, with a job on one instance at a time.
fn keeper(instance: usize, job: &Arc<Job>) -> Service<(usize, Arc<Job>)> {
    let state = (instance, Arc::clone(job));
    Service::new("keeper", "A service with state.", MIGRATIONS, async move |_: Runtime| Ok::<_, StartError>(state))
        .state(&NOTES, true)
        .state(&BRIEF, true)
        .state(&LOCKS, true)
        .every_on_one("count", Duration::from_millis(5), count)
}

async fn count((instance, job): (usize, Arc<Job>)) -> Result<(), String> {
    let running = job.running.fetch_add(1, Ordering::SeqCst) + 1;
    job.most.fetch_max(running, Ordering::SeqCst);
    tokio::task::yield_now().await;
    job.by.lock().unwrap().insert(instance);
    job.running.fetch_sub(1, Ordering::SeqCst);
    job.runs.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// A connection with the rights of the service.
async fn context(bed: &Bed) -> async_nats::jetstream::Context {
    jetstream(&bed.connect_as("keeper").await.0)
}

async fn state<T>(bed: &Bed, bucket: &StateBucket<T>) -> State<T> {
    State::new(context(bed).await, bucket.name)
}

async fn lock(bed: &Bed) -> Lock {
    Lock::new(state(bed, &LOCKS).await, "the.job", LEASE)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_there_until_it_is_deleted() {
    let bed = Bed::start().await;
    let _keeper = bed.run(keeper(1, &Arc::default())).await;
    let notes = state(&bed, &NOTES).await;

    assert_eq!(notes.get("a.b").await, Ok(None));
    let first = notes.put("a.b", &note("one")).await.unwrap();
    let second = notes.put("a.b", &note("two")).await.unwrap();

    assert!(second > first);
    assert_eq!(notes.get("a.b").await, Ok(Some(Entry { value: note("two"), revision: second })));
    notes.delete("a.b").await.unwrap();
    assert_eq!(notes.get("a.b").await, Ok(None));
    for key in ["", ".a", "a.", "a b", "a*"] {
        assert_eq!(notes.put(key, &note("x")).await, Err(StateError::InvalidKey { key: key.to_owned() }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writers_that_meet_one_wins_and_the_others_are_told() {
    let bed = Bed::start().await;
    let _keeper = bed.run(keeper(1, &Arc::default())).await;
    let (one, other) = (state(&bed, &NOTES).await, state(&bed, &NOTES).await);
    let conflict = StateError::Conflict { bucket: "notes".to_owned(), key: "k".to_owned() };

    let created = one.create("k", &note("first")).await.unwrap();
    assert_eq!(other.create("k", &note("second")).await, Err(conflict.clone()));
    let updated = one.update("k", &note("third"), created).await.unwrap();
    assert_eq!(other.update("k", &note("fourth"), created).await, Err(conflict.clone()));
    assert_eq!(other.delete_if("k", created).await, Err(conflict));
    other.delete_if("k", updated).await.unwrap();

    let again = one.create("k", &note("fifth")).await.expect("a deleted key can be made again");
    assert!(again > updated);
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_together_loses_nothing() {
    let bed = Bed::start().await;
    let _keeper = bed.run(keeper(1, &Arc::default())).await;
    state(&bed, &NOTES).await.create("sum", &note("0")).await.unwrap();
    let adding = (0..4).map(|_| async {
        let notes = state(&bed, &NOTES).await;
        for _ in 0..10 {
            loop {
                let found = notes.get("sum").await.unwrap().unwrap();
                let sum = found.value.text.parse::<u32>().unwrap() + 1;
                match notes.update("sum", &note(&sum.to_string()), found.revision).await {
                    Ok(_) => break,
                    Err(StateError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });

    futures_util::future::join_all(adding).await;

    assert_eq!(state(&bed, &NOTES).await.get("sum").await.unwrap().unwrap().value, note("40"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_of_the_type_is_told_and_old_values_go() {
    let bed = Bed::start().await;
    let _keeper = bed.run(keeper(1, &Arc::default())).await;
    let (notes, brief) = (state(&bed, &NOTES).await, state(&bed, &BRIEF).await);
    let numbers: State<u32> = State::new(context(&bed).await, NOTES.name);
    brief.put("k", &note("for a second")).await.unwrap();
    numbers.put("n", &7).await.unwrap();

    let unreadable = notes.get("n").await.unwrap_err();

    assert!(matches!(&unreadable, StateError::Value { key, .. } if key == "n"), "{unreadable}");
    bed.wait_for("the value to be too old", || async { brief.get("k").await.unwrap().is_none().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_what_there_is_and_then_each_change_and_survives_the_loss_of_the_bucket() {
    let mut bed = Bed::start().await;
    let _keeper = bed.run(keeper(1, &Arc::default())).await;
    let notes = state(&bed, &NOTES).await;
    let before = notes.put("seen.a", &note("before")).await.unwrap();
    notes.put("unseen.a", &note("elsewhere")).await.unwrap();
    let mut watch = pin!(notes.watch("seen.*"));
    let mut next = async || tokio::time::timeout(BOUND, watch.next()).await.expect("a change").expect("no end");
    let change = |key: &str, entry: Option<(&str, u64)>| Change {
        key: key.to_owned(),
        entry: entry.map(|(text, revision)| Entry { value: note(text), revision }),
    };

    assert_eq!(next().await, change("seen.a", Some(("before", before))));
    let after = notes.put("seen.b", &note("after")).await.unwrap();
    assert_eq!(next().await, change("seen.b", Some(("after", after))));
    notes.delete("seen.a").await.unwrap();
    assert_eq!(next().await, change("seen.a", None));

    bed.lose_everything_in_nats().await;

    let fresh =
        bed.wait_for("the bucket to take a value", || async { notes.put("seen.c", &note("new")).await.ok() }).await;
    assert_eq!(next().await, change("seen.c", Some(("new", fresh))));
    assert_eq!(notes.get("seen.b").await, Ok(None), "the rest is lost: this is no place of truth");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_the_list_does_not_name_is_out_of_reach() {
    let bed = Bed::start().await;
    let _keeper = bed.run(keeper(1, &Arc::default())).await;
    let _probe = bed.run(crate::probe::service()).await;
    let (client, mut refusals) = bed.connect_as("probe").await;

    client.publish("$KV.notes.k", "mine".into()).await.unwrap();

    let refusal = refusals.next(Duration::from_secs(5)).await.expect("a refusal");
    assert!(refusal.contains("$KV.notes.k"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_holds_a_lock_and_each_next_holder_has_a_greater_token() {
    let bed = Bed::start().await;
    let _keeper = bed.run(keeper(1, &Arc::default())).await;
    let (inside, tokens) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let holding = (0..4).map(|_| async {
        let lock = lock(&bed).await;
        for _ in 0..2 {
            let held = lock.acquire().await;
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
            tokens.lock().unwrap().push(held.token());
            tokio::task::yield_now().await;
            assert!(!held.is_lost());
            inside.fetch_sub(1, Ordering::SeqCst);
            held.release().await;
        }
    });

    futures_util::future::join_all(holding).await;

    let tokens = tokens.into_inner().unwrap();
    assert!(tokens.len() == 8 && tokens.is_sorted() && tokens.iter().collect::<HashSet<_>>().len() == 8, "{tokens:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_kept_for_longer_than_a_lease() {
    let bed = Bed::start().await;
    let _keeper = bed.run(keeper(1, &Arc::default())).await;
    let held = lock(&bed).await.acquire().await;
    let other = lock(&bed).await;

    assert!(tokio::time::timeout(LEASE * 3, other.acquire()).await.is_err(), "taken from its holder");

    assert!(!held.is_lost());
    drop(held);
    let next = tokio::time::timeout(LEASE, other.acquire()).await;
    assert!(next.is_ok(), "what was given up is free at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_taken_over_from_a_holder_that_is_gone() {
    let bed = Bed::start().await;
    let _keeper = bed.run(keeper(1, &Arc::default())).await;
    let (context, (sender, receiver)) = (context(&bed).await, tokio::sync::oneshot::channel());
    // A process that ends without a word: its tasks stop where they are.
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    doomed.spawn(async move {
        let held = Lock::new(State::new(context, LOCKS.name), "the.job", LEASE).acquire().await;
        sender.send(held.token()).unwrap();
        held.lost().await;
    });
    let old = receiver.await.unwrap();
    doomed.shutdown_background();

    let held = tokio::time::timeout(BOUND, lock(&bed).await.acquire()).await.expect("the lock");

    assert!(held.token() > old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_cut_off_or_robbed_is_told() {
    let mut bed = Bed::start().await;
    let _keeper = bed.run(keeper(1, &Arc::default())).await;
    let lock = lock(&bed).await;
    let robbed = lock.acquire().await;
    state(&bed, &LOCKS).await.delete("the.job").await.unwrap();
    tokio::time::timeout(BOUND, robbed.lost()).await.expect("the loss is told");

    let cut_off = lock.acquire().await;
    bed.broker().process().pause().unwrap();
    tokio::time::timeout(BOUND, cut_off.lost()).await.expect("the loss is told without the server");
    bed.broker().process().resume().unwrap();

    let again = tokio::time::timeout(BOUND, lock.acquire()).await.expect("the lock");
    assert!(again.token() > cut_off.token() && cut_off.token() > robbed.token());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hangs_when_the_bucket_of_a_lock_is_lost() {
    let mut bed = Bed::start().await;
    let _keeper = bed.run(keeper(1, &Arc::default())).await;
    let (held, other) = (lock(&bed).await.acquire().await, lock(&bed).await);

    bed.lose_everything_in_nats().await;

    tokio::time::timeout(BOUND, held.lost()).await.expect("the loss is told");
    tokio::time::timeout(BOUND, other.acquire()).await.expect("the lock of the new bucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_on_one_instance_at_a_time_and_moves_on_when_that_stops() {
    let bed = Bed::start().await;
    let job = Arc::<Job>::default();
    let first = bed.run(keeper(1, &job)).await;
    let some_runs = async |more: usize| {
        let before = job.runs.load(Ordering::SeqCst);
        bed.wait_for("runs", || async { (job.runs.load(Ordering::SeqCst) >= before + more).then_some(()) }).await;
    };
    some_runs(1).await;
    let second = bed.run(keeper(2, &job)).await;
    some_runs(20).await;
    assert_eq!(*job.by.lock().unwrap(), HashSet::from([1]), "the second waits");

    first.stop().await;
    some_runs(20).await;

    assert_eq!(*job.by.lock().unwrap(), HashSet::from([1, 2]));
    assert_eq!(job.most.load(Ordering::SeqCst), 1, "never two at a time");
    second.stop().await;
}
