//! Access tokens, verified and remembered.

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_token_ends_with_its_time() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[("LIMITS", "read=10000/60")]).await;
    // Clocks may differ by 30 seconds, so this one is good for some three more.
    let token = scene.token_for(-27);

    assert_eq!(door.read_as(&token).await.status, 200);
    assert_eq!(door.read_as(&token).await.status, 200);
    let ended = scene.bed.wait_for("the token's end", || async {
        let answer = door.read_as(&token).await;
        (answer.status != 200).then_some(answer)
    });
    let ended = ended.await;
    assert_eq!(ended.code(), (401, "unauthenticated".to_owned()));
    assert_eq!(ended.header("www-authenticate"), "Bearer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_would_outlive_the_memory_of_its_sessions_end_is_refused() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[]).await;

    assert_eq!(door.read_as(&scene.token_for(601)).await.code(), (401, "unauthenticated".to_owned()));
    assert_eq!(door.read_as(&scene.token_for(600)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn remembering_one_token_lets_no_other_in() {
    let scene = Scene::set().await;
    let (door, token) = (scene.gateway(&[]).await, scene.token());
    assert_eq!(door.read_as(&token).await.status, 200);

    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = scene.token();
    let foreign = other.rsplit_once('.').unwrap().1;
    for forged in
        [format!("{signed}.{foreign}"), format!("{signed}."), format!("{token}x"), format!("x{signed}.{signature}")]
    {
        assert_eq!(door.read_as(&forged).await.code(), (401, "unauthenticated".to_owned()), "{forged}");
    }
}
