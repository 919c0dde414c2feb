use diesel::sql_query;
use diesel_async::RunQueryDsl;
use nats::{
    contracts::trail::{RecordTrail, TrailEntries},
    types::UserId,
};
use serde_json::json;

use super::{began, ended, recorded, trail};
use crate::{count, sql, start};

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_kept_once_whichever_way_and_however_often_it_comes() {
    let (bed, _running) = start().await;
    let (first, second) = (began("place_order", None, "ord_1"), began("cancel_order", None, "ord_2"));
    bed.publish(&recorded(vec![], vec![ended(&first, 201)])).await;
    bed.wait_for("the end", async || (count(&bed, "trail_outcome").await == 1).then_some(())).await;
    bed.publish_twice(&recorded(vec![first.clone()], vec![])).await;
    let entries = TrailEntries { began: vec![second.clone(), first.clone()], ended: vec![ended(&second, 409)] };
    for _ in 0..2 {
        bed.call(&RecordTrail { entries: entries.clone() }).await.unwrap();
    }
    bed.publish(&recorded(vec![first.clone(), second.clone()], vec![ended(&first, 503)])).await;
    bed.wait_for("all to be taken", async || (count(&bed, "inbox").await == 3).then_some(())).await;

    let answer = trail(&bed, &bed.admin(), 2).await;
    let outcomes: Vec<_> = (0..2).map(|row| answer.text(&format!("/data/{row}/outcome"))).collect();
    assert_eq!(answer.at("/data").as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(outcomes, ["refused", "succeeded"], "the first end that was told stands: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_begun_and_not_ended_is_unknown() {
    let (bed, _running) = start().await;
    let cut_off = began("place_order", Some(UserId::new()), "ord_1");
    bed.publish(&recorded(vec![cut_off.clone()], vec![])).await;

    let answer = trail(&bed, &bed.admin(), 1).await;
    assert_eq!(answer.text("/data/0/outcome"), "unknown");
    for nothing in ["status", "ended_at", "created"] {
        assert_eq!(answer.at(&format!("/data/0/{nothing}")), &json!(null), "{answer}");
    }
    assert_eq!(answer.text("/data/0/user_id"), cut_off.user_id.unwrap().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_kept_can_be_changed() {
    let (bed, _running) = start().await;
    let entry = began("place_order", None, "ord_1");
    bed.publish(&recorded(vec![entry.clone()], vec![ended(&entry, 201)])).await;
    trail(&bed, &bed.admin(), 1).await;
    let mut connection = bed.sql("user").await;
    let month = entry.at.format("%Y%m");

    for table in ["trail_entry", "trail_outcome", "trail_mention"] {
        for table in [table.to_owned(), format!("{table}_{month}"), format!("{table}_other")] {
            for change in ["truncate", "delete from"] {
                let refused = sql_query(format!("{change} {table}")).execute(&mut connection).await.unwrap_err();
                assert!(refused.to_string().contains("permission denied"), "{change} {table}: {refused}");
            }
        }
    }
    let changed = sql_query("update trail_entry set operation = 'nothing'").execute(&mut connection).await;
    assert!(changed.unwrap_err().to_string().contains("permission denied"));

    // Whoever takes the right back is refused all the same.
    sql_query(format!("grant update, delete, truncate on trail_entry, trail_entry_{month} to current_user"))
        .execute(&mut connection)
        .await
        .unwrap();
    for change in [
        "update trail_entry set operation = 'nothing'".to_owned(),
        "delete from trail_entry".to_owned(),
        "truncate trail_entry".to_owned(),
        format!("truncate trail_entry_{month}"),
        format!("delete from trail_entry_{month}"),
    ] {
        let refused = sql_query(&change).execute(&mut connection).await.unwrap_err();
        assert!(refused.to_string().contains("only added to"), "{change}: {refused}");
    }
    assert_eq!(count(&bed, "trail_entry").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_months_go_once_they_ended_four_hundred_days_ago() {
    let (bed, running) = start().await;
    sql(&bed, "select keep_trail_months(current_date - 470, current_date - 380, current_date - 1000)").await;
    // The job runs at the start, and then every hour.
    running.stop().await;
    let _again = bed.run(svc_user::service()).await;

    let month_of = |days: u32| {
        format!("pg_class where relkind = 'r' and relname = 'trail_entry_' || to_char(current_date - {days}, 'YYYYMM')")
    };
    bed.wait_for("the oldest to go", async || (count(&bed, &month_of(470)).await == 0).then_some(())).await;
    for younger in [380, 0] {
        assert_eq!(count(&bed, &month_of(younger)).await, 1, "that of {younger} days ago stays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_no_month_that_there_is_is_kept_all_the_same() {
    let (bed, _running) = start().await;
    let mut off = began("place_order", None, "ord_1");
    off.id = "trl_00000000010000000000000000".parse().unwrap();
    off.at = off.id.timestamp();
    bed.publish(&recorded(vec![off.clone()], vec![ended(&off, 201)])).await;

    assert_eq!(trail(&bed, &bed.admin(), 1).await.text("/data/0/outcome"), "succeeded");
    assert_eq!(count(&bed, "trail_entry_other").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_entry_is_a_dead_letter() {
    let (bed, _running) = start().await;
    let headers = [("ce-type", "trail.recorded.v1"), ("ce-id", "0198"), ("Nats-Msg-Id", "forged")];
    bed.publish_raw("direct.trail.recorded.one", &headers, "{}").await;

    let letters =
        bed.wait_for("the letter", async || Some(bed.dead_letters().await).filter(|all| !all.is_empty())).await;
    assert_eq!(letters[0].0, "user-keep-trail");
    assert_eq!(count(&bed, "trail_entry").await, 0);
}
