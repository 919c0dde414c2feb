use nats::{
    contracts::user::UserSessionEnded,
    identity::{Identity, Permissions, Role},
};
use serde_json::json;

use crate::{refresh, register, signed_in, start, user_of, verified};

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_ones_own_session_and_its_refresh_token() {
    let (bed, _running) = start().await;
    let ada = register(&bed, "ada@example.com").await;
    let claims = verified(&bed, &ada).await;
    let client = signed_in(&bed, &ada).await;
    for _ in 0..2 {
        assert_eq!(client.post("/v1/auth/logout", &json!({})).send().await.status, 204, "and again");
    }
    refresh(&bed, &ada.text("/refresh_token")).await.problem("unauthenticated", "");
    let event = bed.event::<UserSessionEnded>(|event| event.session_id == claims.sid).await;
    let ids = json!({"user_id": claims.sub, "session_id": claims.sid});
    assert_eq!(serde_json::to_value(event).unwrap(), ids, "whoever believes its access tokens hears of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_the_callers_goes_on() {
    let (bed, _running) = start().await;
    let ada = register(&bed, "ada@example.com").await;
    let eve = Identity { session: Some(verified(&bed, &ada).await.sid), ..stranger(&bed).await };
    // The bed's clients come with a session that nobody opened: one of another user, or one long forgotten.
    for client in [bed.customer_with_id(user_of(&ada)), bed.customer(), bed.client_of(eve)] {
        let answer = client.post("/v1/auth/logout", &json!({})).send().await;
        assert_eq!(answer.status, 204, "signing out is possible always: {answer}");
    }
    assert_eq!(refresh(&bed, &ada.text("/refresh_token")).await.status, 200);
    let nobody = bed.nobody().request("POST", "/v1/auth/logout").send().await;
    assert_eq!(nobody.status, 401, "{nobody}");
    nobody.problem("unauthenticated", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_has_no_session_to_end() {
    let (bed, _running) = start().await;
    let key = Identity { session: None, ..stranger(&bed).await };
    bed.client_of(key).post("/v1/auth/logout", &json!({})).send().await.problem("conflict", "");
}

async fn stranger(bed: &stack::Bed) -> Identity {
    let user = user_of(&register(bed, "eve@example.com").await);
    Identity { user, session: None, roles: vec![Role::CUSTOMER], permissions: Permissions::default() }
}
