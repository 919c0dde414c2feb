//! UserRegistered → welcome

use nats::contracts::{
    notify::NotificationSent,
    user::{GetUserDetails, Unknown, UserRegistered},
};
use nats::types::UserId;
use stack::bed::Bed;

use super::given::{entries, everybody_is_called, logged, mail, mails_to, register, run};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registers_is_welcomed_in_their_language() {
    for (locale, subject, heading) in [
        ("en-GB", "Welcome to Argosy, Ada", "Welcome aboard"),
        ("de-DE", "Willkommen bei Argosy, Ada", "Willkommen an Bord"),
    ] {
        let bed = Bed::start().await;
        everybody_is_called(&bed, "Ada", locale).await;
        let (_running, catcher) = run(&bed).await;
        let user = register(&bed).await;
        let mail = mail(catcher, user, subject).await;
        assert_eq!(mail.subject, subject);
        assert_eq!((mail.from[0].address.as_str(), mail.from[0].name.as_str()), ("no-reply@argosy.example", "Argosy"));
        for body in [&mail.text, &mail.html] {
            assert!(body.contains(heading) && body.contains("https://shop.example/"), "{body}");
        }
        let sent = bed.event(|event: &NotificationSent| event.user_id == Some(user)).await;
        assert_eq!(sent.template, "welcome");
        let message_id = mail.headers["message-id"].as_str().unwrap();
        assert_eq!(message_id, format!("<{}@argosy>", sent.notification_id));
        let entry = logged(&bed, user, "the mail is logged as sent", |entry| entry.state == "sent").await;
        assert_eq!((entry.attempts, entry.last_error), (1, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_event_and_two_instances_send_one_mail() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let (_one, catcher) = run(&bed).await;
    let (_other, _) = run(&bed).await;
    let user = UserId::new();
    bed.publish_twice(&UserRegistered { user_id: user }).await;
    mail(catcher, user, "Welcome").await;
    // What was published after the repeat has been sent as well: the repeat was seen.
    let later = register(&bed).await;
    mail(catcher, later, "Welcome").await;
    logged(&bed, user, "it is sent", |entry| entry.state == "sent").await;
    assert_eq!(entries(&bed, user).await.len(), 1);
    assert_eq!(mails_to(catcher, user).await, 1);
    assert_eq!(bed.events(|event: &NotificationSent| event.user_id == Some(user)).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_name_is_text_and_adds_no_header() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "<b>Eve</b>\r\nBcc: victim\r\n\r\n<script>", "en").await;
    let (_running, catcher) = run(&bed).await;
    let user = register(&bed).await;
    let sent = mail(catcher, user, "Welcome to Argosy").await;
    assert_eq!(sent.subject, "Welcome to Argosy", "a name with a slash is none");

    let bed = Bed::start().await;
    everybody_is_called(&bed, "<i>Eve\r\nBcc: victim\r\n\r\n<script>", "en").await;
    let (_running, catcher) = run(&bed).await;
    let user = register(&bed).await;
    let sent = mail(catcher, user, "Welcome to Argosy").await;
    assert_eq!(sent.subject, "Welcome to Argosy, <i>Eve Bcc: victim <script>");
    assert!(!sent.headers.contains_key("bcc"), "{:?}", sent.headers);
    assert_eq!(sent.to.len(), 1);
    assert!(sent.html.contains("&lt;i&gt;Eve Bcc: victim &lt;script&gt;"), "{}", sent.html);
    assert!(!sent.html.contains("<script>") && !sent.html.contains("<i>"), "{}", sent.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_svc_user_to_come_up() {
    let bed = Bed::start().await;
    let (_running, catcher) = run(&bed).await;
    let user = register(&bed).await;
    assert_eq!(entries(&bed, user).await, []);
    everybody_is_called(&bed, "Ada", "en").await;
    mail(catcher, user, "Welcome").await;
    assert!(bed.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn someone_who_is_gone_is_not_written_to() {
    let bed = Bed::start().await;
    bed.answer::<GetUserDetails>(|_| Err(Unknown::Unknown)).await;
    let (_running, _) = run(&bed).await;
    let user = register(&bed).await;
    bed.wait_for("the event is taken", || async { inbox(&bed).await }).await;
    assert_eq!(entries(&bed, user).await, []);
    assert!(bed.dead_letters().await.is_empty());
}

/// Something, once the inbox has a row.
async fn inbox(bed: &Bed) -> Option<()> {
    use diesel_async::RunQueryDsl;
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        #[allow(dead_code, reason = "only counted")]
        consumer: String,
    }
    let rows: Vec<Row> =
        diesel::sql_query("select consumer from inbox").load(&mut bed.sql("notify").await).await.unwrap();
    (!rows.is_empty()).then_some(())
}
