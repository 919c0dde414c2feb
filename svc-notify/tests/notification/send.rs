//! The sender: what the mail server's moods lead to.

use nats::contracts::notify::NotificationSent;
use stack::{bed::Bed, mail::MailCatcher, scratch::Scratch};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use super::given::{address, entries, everybody_is_called, free_port, logged, mail, mails_to, register, run_at};

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_tried_again_until_the_server_is_back() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let port = free_port();
    let _running = run_at(&bed, port).await;
    let user = register(&bed).await;
    let entry = logged(&bed, user, "it was tried twice", |entry| entry.attempts >= 2 && entry.state == "queued").await;
    let reason = entry.last_error.unwrap();
    assert!(!reason.contains('@') && !reason.is_empty(), "{reason}");
    bed.no_event::<NotificationSent>(|_| true).await;

    let scratch = Scratch::new("mail").unwrap();
    let catcher = MailCatcher::start(scratch.path(), Some(port), None).await.unwrap();
    mail(&catcher, user, "Welcome").await;
    let entry = logged(&bed, user, "it is sent", |entry| entry.state == "sent").await;
    assert_eq!(entry.last_error, None);
    assert_eq!((entries(&bed, user).await.len(), mails_to(&catcher, user).await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_queued_is_sent_after_a_restart() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let running = run_at(&bed, free_port()).await;
    let user = register(&bed).await;
    logged(&bed, user, "it was tried", |entry| entry.attempts >= 1 && entry.state == "queued").await;
    running.stop().await;
    let catcher = bed.mail().await;
    let _running = run_at(&bed, catcher.smtp_port()).await;
    mail(catcher, user, "Welcome").await;
    assert_eq!(mails_to(catcher, user).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_fails_at_once_and_names_no_address() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let _running = run_at(&bed, refusing_server().await).await;
    let user = register(&bed).await;
    let entry = logged(&bed, user, "it has failed", |entry| entry.state == "failed").await;
    assert_eq!(entry.attempts, 1);
    let reason = entry.last_error.unwrap();
    assert!(reason.contains("no such user") && !reason.contains(&address(user)), "{reason}");
    bed.no_event::<NotificationSent>(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_mails_are_each_sent_once_by_two_instances() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let catcher = bed.mail().await;
    let _one = run_at(&bed, catcher.smtp_port()).await;
    let _other = run_at(&bed, catcher.smtp_port()).await;
    let mut users = Vec::new();
    for _ in 0..20 {
        users.push(register(&bed).await);
    }
    for user in users {
        let entry = logged(&bed, user, "it is sent", |entry| entry.state == "sent").await;
        assert_eq!((entry.attempts, mails_to(catcher, user).await), (1, 1));
    }
}

/// A mail server that knows nobody, and says so with the address.
async fn refusing_server() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader).lines();
                let mut answer = "220 refusing.example".to_owned();
                loop {
                    if writer.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                        return;
                    }
                    let Ok(Some(line)) = lines.next_line().await else { return };
                    answer = match line.strip_prefix("RCPT TO:") {
                        Some(recipient) => format!("550 5.1.1 {recipient} no such user"),
                        None => "250 ok".to_owned(),
                    };
                }
            });
        }
    });
    port
}
