//! Events of a process that has no database.

use std::time::Duration;

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    connect::{Requests, connect, jetstream},
    consume::{Failure, Received},
    contracts::Event,
    database::Tx,
    direct::{Direct, DirectError},
    manifest::{EventEntry, Manifest},
    service::{Running, Runtime, Service, StartError},
    types::{EventId, UserId},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use stack::Bed;

use crate::probe::MIGRATIONS;

const SOON: Duration = Duration::from_secs(5);

/// Somebody came to the door.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Object)]
struct VisitorCame {
    visitor: UserId,
}

impl Event for VisitorCame {
    const SERVICE: &'static str = "porter";
    const ENTITY: &'static str = "visitor";
    const VERB: &'static str = "came";
    const VERSION: u8 = 1;
    const DIRECT: bool = true;

    fn entity_id(&self) -> String {
        self.visitor.to_string()
    }
}

/// Writes down who came.
fn keeper() -> Service<()> {
    async fn note(tx: &mut Tx, _: (), received: Received<VisitorCame>) -> Result<(), Failure> {
        sql_query("insert into effect (name, thing) values ('came', $1)")
            .bind::<sql_types::Uuid, _>(received.event.visitor.uuid())
            .execute(tx)
            .await?;
        Ok(())
    }
    Service::new("keeper", "Keeps the visitors' book.", MIGRATIONS, async |_: Runtime| Ok::<_, StartError>(()))
        .consume::<VisitorCame, _>("note", note)
}

/// A bed with the porter, who has no database, and the keeper, unless it is away.
async fn scene() -> (Bed, Direct) {
    let bed = Bed::start().await;
    let porter = Manifest {
        service: "porter".to_owned(),
        publishes: vec![EventEntry::of::<VisitorCame>()],
        ..Manifest::default()
    };
    bed.let_in(&porter).await;
    bed.let_in(keeper().manifest()).await;
    let settings = bed.settings("porter");
    let client = connect(&settings, "porter").await.unwrap();
    (bed, Direct::new(Requests::over(client)))
}

async fn keep(bed: &Bed) -> Running {
    bed.run(keeper()).await
}

/// How often it is written down that this visitor came.
async fn visits(bed: &Bed, visitor: UserId) -> i64 {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = sql_types::BigInt)]
        rows: i64,
    }
    let counted: Count = sql_query("select count(*) as rows from effect where thing = $1")
        .bind::<sql_types::Uuid, _>(visitor.uuid())
        .get_result(&mut bed.sql("keeper").await)
        .await
        .unwrap();
    counted.rows
}

/// How many messages the stream holds.
async fn held(bed: &Bed) -> u64 {
    let (client, _refusals) = bed.connect_as("bed").await;
    let stream = jetstream(&client).get_stream("VISITOR").await.unwrap();
    stream.cached_info().state.messages
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_event_is_kept_until_it_is_taken_and_no_longer() {
    let (bed, direct) = scene().await;
    let event = VisitorCame { visitor: UserId::new() };
    let id = EventId::new();
    for _ in 0..3 {
        direct.publish(id, &event, SOON).await.unwrap();
    }
    assert_eq!(held(&bed).await, 1, "once under one id");

    let _keeper = keep(&bed).await;

    bed.wait_for("the visit to be written down", async || (visits(&bed, event.visitor).await == 1).then_some(())).await;
    bed.wait_for("the stream to let go of it", async || (held(&bed).await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_stream_or_the_server_whoever_publishes_hears_so() {
    let (mut bed, direct) = scene().await;
    let event = VisitorCame { visitor: UserId::new() };
    let (client, _refusals) = bed.connect_as("bed").await;
    jetstream(&client).delete_stream("VISITOR").await.unwrap();
    let refused = direct.publish(EventId::new(), &event, SOON).await;
    assert!(matches!(refused, Err(DirectError::Unavailable(ref stream)) if stream == "VISITOR"), "{refused:?}");

    bed.broker().process().pause().unwrap();
    let refused = direct.publish(EventId::new(), &event, Duration::from_millis(300)).await;
    bed.broker().process().resume().unwrap();
    assert!(matches!(refused, Err(DirectError::TimedOut | DirectError::Unavailable(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_may_look_at_it() {
    let (bed, direct) = scene().await;
    direct.publish(EventId::new(), &VisitorCame { visitor: UserId::new() }, SOON).await.unwrap();
    for user in ["debug", "porter"] {
        let (client, mut refusals) = bed.connect_as(user).await;
        for subject in [
            "$JS.API.STREAM.MSG.GET.VISITOR",
            "$JS.API.DIRECT.GET.VISITOR",
            "$JS.API.CONSUMER.CREATE.VISITOR",
            "$JS.API.CONSUMER.MSG.NEXT.VISITOR.keeper-note",
        ] {
            client.publish(subject, r#"{"seq":1}"#.into()).await.unwrap();
            let refusal = refusals.next(SOON).await.unwrap_or_else(|| panic!("{user} is let through on {subject}"));
            assert!(refusal.contains(subject), "{user} on {subject}: {refusal}");
        }
        let _subscription = client.subscribe("direct.>").await.unwrap();
        let refusal = refusals.next(SOON).await.unwrap_or_else(|| panic!("{user} may listen to what is direct"));
        assert!(refusal.contains("direct.>"), "{user}: {refusal}");
    }
    assert_eq!(held(&bed).await, 1);
}
