#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use stack::Bed;

use super::*;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = sql_types::Text, column_name = "QUERY PLAN")]
    plan: String,
}

#[test]
fn ids_are_found_by_the_millisecond_they_begin_with() {
    let id = TrailEntryId::new();
    let at = id.timestamp();
    let micro = chrono::Duration::microseconds(1);
    assert!(first_from(at) <= id.uuid(), "what began at that moment is from then on");
    assert!(first_from(at + micro) > id.uuid(), "and not from a moment later on");
    assert!(first_from(at - micro) <= id.uuid());
    assert_eq!(first_from(DateTime::UNIX_EPOCH), Uuid::nil());
    assert_eq!(first_from(DateTime::UNIX_EPOCH - micro), Uuid::nil());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_for_is_read_along_an_index() {
    let bed = Bed::start().await;
    let _running = bed.run(crate::service()).await;
    let mut connection = bed.sql("user").await;
    for statement in [
        "insert into trail_entry (id, at, operation, user_id, roles, targets, request_id, trace_id)
         select overlay(trail_id_from(now())::text placing lpad(to_hex(n), 12, '0') from 25)::uuid, now(), 'do_' || n % 50,
                gen_random_uuid(), '{}', '[]', 'r', 't' from generate_series(1, 20000) as n",
        "insert into trail_outcome (entry_id, at, status)
         select id, at, case when random() < 0.01 then 403 else 200 end from trail_entry",
        "insert into trail_mention select 'thing_' || substr(id::text, 36), id from trail_entry",
        "analyze trail_entry, trail_outcome, trail_mention",
        // The months to come are empty, and an empty table is read as a whole.
        "set enable_seqscan = off",
    ] {
        sql_query(statement).execute(&mut connection).await.unwrap();
    }
    let (actor, operation, now) = (Some(UserId::new()), Some("do_7".to_owned()), Utc::now());
    let (from, to) = (Some(now - chrono::Duration::hours(1)), Some(now + chrono::Duration::hours(1)));
    let (mentioned, outcome) = (Some("thing_7".to_owned()), Some(Outcome::Refused));
    let everything = Filter::default();
    let mut faults = Vec::new();
    for filter in [
        everything.clone(),
        Filter { actor, ..everything.clone() },
        Filter { operation: operation.clone(), ..everything.clone() },
        Filter { mentioned: mentioned.clone(), ..everything.clone() },
        Filter { from, to, ..everything.clone() },
        Filter { outcome, ..everything.clone() },
        Filter { outcome: Some(Outcome::Unknown), ..everything.clone() },
        Filter { after: Some(TrailEntryId::new()), ..everything.clone() },
        Filter { actor, operation, mentioned, from, to, outcome, after: Some(TrailEntryId::new()) },
    ] {
        let plan: Vec<Line> = query("explain ", &filter, 21).load(&mut connection).await.unwrap();
        let plan = plan.iter().map(|line| line.plan.as_str()).collect::<Vec<_>>().join("\n");
        // Merging what comes along several indexes in one order is no sorting.
        if plan.contains("Seq Scan") || plan.contains("Sort  (") || !plan.contains("Index") {
            faults.push(format!("{filter:?}:\n{plan}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
