use nats::{contracts::user::UserSessionEnded, types::SessionId};

use super::SESSIONS;
use crate::{PASSWORD, login, refresh, register, signed_in, start, verified};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_ended_from_another_one() {
    let (bed, _running) = start().await;
    let here = register(&bed, "ada@example.com").await;
    let lost = login(&bed, "ada@example.com", PASSWORD).await;
    let (client, sid) = (signed_in(&bed, &here).await, verified(&bed, &lost).await.sid);
    let path = format!("{SESSIONS}/{sid}");
    assert_eq!(client.delete(&path).send().await.status, 204);
    refresh(&bed, &lost.text("/refresh_token")).await.problem("unauthenticated", "");
    assert_eq!(refresh(&bed, &here.text("/refresh_token")).await.status, 200);
    bed.event::<UserSessionEnded>(|event| event.session_id == sid).await;
    client.delete(&path).send().await.problem("not_found", "");
    assert_eq!(client.get(SESSIONS).send().await.at("/data").as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_others_are_ended_at_once() {
    let (bed, _running) = start().await;
    let here = register(&bed, "ada@example.com").await;
    let others = [login(&bed, "ada@example.com", PASSWORD).await, login(&bed, "ada@example.com", PASSWORD).await];
    let bob = register(&bed, "bob@example.com").await;
    let client = signed_in(&bed, &here).await;
    for _ in 0..2 {
        assert_eq!(client.delete(SESSIONS).send().await.status, 204, "and again");
    }
    for other in &others {
        let sid = verified(&bed, other).await.sid;
        bed.event::<UserSessionEnded>(|event| event.session_id == sid).await;
        refresh(&bed, &other.text("/refresh_token")).await.problem("unauthenticated", "");
    }
    for session in [&here, &bob] {
        assert_eq!(refresh(&bed, &session.text("/refresh_token")).await.status, 200);
    }
    assert_eq!(bed.events::<UserSessionEnded>(|_| true).await.len(), 2, "each end is told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_session_does_not_exist() {
    let (bed, _running) = start().await;
    let (ada, eve) = (register(&bed, "ada@example.com").await, register(&bed, "eve@example.com").await);
    let path = format!("{SESSIONS}/{}", verified(&bed, &ada).await.sid);
    for client in [signed_in(&bed, &eve).await, bed.staff(), bed.admin()] {
        let answer = client.delete(&path).send().await;
        assert_eq!(answer.status, 404, "{answer}");
        answer.problem("not_found", "");
    }
    bed.nobody().delete(&path).send().await.problem("unauthenticated", "");
    bed.nobody().delete(SESSIONS).send().await.problem("unauthenticated", "");
    let client = signed_in(&bed, &eve).await;
    for unknown in [SessionId::new().to_string(), "usr_01h455vb4pex5vsknk084sn02q".to_owned(), "1".to_owned()] {
        client.delete(&format!("{SESSIONS}/{unknown}")).send().await.problem("not_found", "");
    }
    assert_eq!(refresh(&bed, &ada.text("/refresh_token")).await.status, 200);
}
