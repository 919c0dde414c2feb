//! The broker permits what the lists name, and nothing else.

use std::time::Duration;

use nats::{contracts::stream_of, topology::Topology, types::UserId};
use stack::Bed;

use crate::probe::{self, DoThing, ThingDone};

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_refused_on_a_subject_that_its_list_does_not_name() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let (client, mut refusals) = bed.connect_as("probe").await;
    let mut everything = bed.listen(">").await;

    for subject in ["evt.order.placed.x", "svc.user.get_user_details", "http.probe", "$JS.API.STREAM.DELETE.PROBE"] {
        client.publish(subject, "mine".into()).await.unwrap();
        let refusal =
            refusals.next(Duration::from_secs(5)).await.unwrap_or_else(|| panic!("{subject} was not refused"));
        assert!(refusal.contains(subject), "expected a refusal of {subject}, got {refusal}");
    }
    for subject in ["evt.>", "svc.user.>", "_INBOX_gateway.>", "$JS.API.>"] {
        let _subscription = client.subscribe(subject).await.unwrap();
        let refusal =
            refusals.next(Duration::from_secs(5)).await.unwrap_or_else(|| panic!("{subject} was not refused"));
        assert!(refusal.contains(subject), "expected a refusal of {subject}, got {refusal}");
    }
    assert!(everything.never("evt.order.placed.x").await, "the refused message went through");
}

#[test]
fn the_checked_in_topology_gives_each_service_only_its_own_events() {
    let topology = Topology::embedded().expect("the embedded topology");
    for (user, permissions) in &topology.users {
        if ["provisioner", "operator"].contains(&user.as_str()) {
            continue;
        }
        let own = topology.streams.iter().find(|stream| stream.name == stream_of(user));
        let own = own.map(|stream| stream.subjects.clone()).unwrap_or_default();
        for subject in permissions.publish.iter().filter(|subject| subject.starts_with("evt.")) {
            assert!(own.contains(subject), "{user} may publish {subject}, which is not its own");
        }
        assert!(!permissions.publish.contains(&">".to_owned()), "{user} may publish anything");
        assert!(!permissions.publish.iter().any(|subject| subject == "$JS.API.>"), "{user} may administer JetStream");
    }
}

/// A user of JetStream can have the server publish for it, where it may not publish itself: by naming the subject as the
/// reply of a request for a message that it has stored before. Permissions cannot close that; the service does.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_server_was_made_to_send_is_not_answered() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let forged = DoThing { thing: UserId::new(), mood: "forged".to_owned(), commit: true };
    let body = serde_json::to_string(&forged).unwrap();
    bed.publish_raw(&format!("evt.thing.done.{}", forged.thing), &[], &body).await;
    let (client, _refusals) = bed.connect_as("probe").await;
    let mut arrived = bed.listen("svc.probe.do_thing").await;

    client.publish_with_reply("$JS.API.DIRECT.GET.PROBE", "svc.probe.do_thing", r#"{"seq":1}"#.into()).await.unwrap();

    assert_eq!(arrived.next(Duration::from_secs(5)).await.as_deref(), Some(body.as_str()), "the server did send it");
    let honest = DoThing { thing: UserId::new(), mood: "honest".to_owned(), commit: true };
    bed.call(&honest).await.expect("an honest question is answered");
    bed.event::<ThingDone>(|event| event.thing == honest.thing).await;
    // The message that was stored by hand reads as an event of this type as well.
    let told = bed.events::<ThingDone>(|event| event.thing == forged.thing).await;
    assert_eq!(told.len(), 1, "only what was stored by hand, nothing that the service did: {told:?}");
}
