//! The broker permits what the lists name, and nothing else.

use std::time::Duration;

use nats::{contracts::stream_of, topology::Topology};
use stack::Bed;

use crate::probe;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_refused_on_a_subject_that_its_list_does_not_name() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let (client, mut refusals) = bed.connect_as("probe").await;
    let mut everything = bed.listen(">").await;

    for subject in
        ["evt.order.placed.x", "svc.user.get_user_details", "http.probe", "$JS.API.STREAM.DELETE.PROBE", "dead.order.x"]
    {
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
