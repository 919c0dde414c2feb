use serde_json::json;

use crate::{refresh, register, start, user_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_the_callers_goes_on() {
    let (bed, _running) = start().await;
    let ada = register(&bed, "ada@example.com").await;
    // The bed's clients come with a session that nobody opened: one of another user, or one long forgotten.
    for client in [bed.customer_with_id(user_of(&ada)), bed.customer()] {
        let answer = client.post("/v1/auth/logout", &json!({})).send().await;
        assert_eq!(answer.status, 204, "signing out is possible always: {answer}");
    }
    assert_eq!(refresh(&bed, &ada.text("/refresh_token")).await.status, 200);
    let nobody = bed.nobody().request("POST", "/v1/auth/logout").send().await;
    assert_eq!(nobody.status, 401, "{nobody}");
    nobody.problem("unauthenticated", "");
}
