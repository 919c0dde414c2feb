//! UserEmailVerificationRequested → email_verification, UserPasswordResetRequested → password_reset

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use nats::{
    contracts::user::{
        AccountMail, GetEmailVerificationMail, GetPasswordResetMail, Unknown, UserEmailVerificationRequested,
        UserPasswordResetRequested,
    },
    types::UserId,
};
use stack::bed::Bed;

use super::given::{address, entries, logged, mail, mails_to, run};

fn mail_to(user: UserId, locale: &str, link: String) -> AccountMail {
    let (email, locale) = (address(user).parse().unwrap(), locale.parse().unwrap());
    AccountMail { email, name: "Ada Lovelace".to_owned(), locale, link }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_forgot_their_password_gets_one_link_however_often_the_event_comes() {
    let (bed, user, later) = (Bed::start().await, UserId::new(), UserId::new());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    bed.answer::<GetPasswordResetMail>(move |question| {
        // As svc-user does: each one ends those before.
        let number = counter.fetch_add(1, Ordering::Relaxed);
        Ok(mail_to(question.user_id, "en", format!("/password-reset#token=number-{number}")))
    })
    .await;
    let (_running, catcher) = run(&bed).await;
    bed.publish_twice(&UserPasswordResetRequested { user_id: user }).await;
    let sent = mail(catcher, user, "Set a new password").await;
    assert!(sent.text.contains("https://shop.example/password-reset#token=number-0\n"), "{}", sent.text);
    assert!(sent.html.contains("https://shop.example/password-reset#token&#x3D;number-0\""), "{}", sent.html);
    assert!(sent.text.contains("Ada Lovelace") && sent.text.contains("one hour"), "{}", sent.text);

    bed.publish(&UserPasswordResetRequested { user_id: later }).await;
    mail(catcher, later, "Set a new password").await;
    logged(&bed, user, "it is sent", |entry| entry.state == "sent").await;
    assert_eq!((entries(&bed, user).await.len(), mails_to(catcher, user).await), (1, 1));
    assert_eq!(asked.load(Ordering::Relaxed), 2, "a link was made that nobody got");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_gets_its_link_in_the_language_of_its_owner() {
    let (bed, user) = (Bed::start().await, UserId::new());
    bed.answer::<GetEmailVerificationMail>(|question| {
        Ok(mail_to(question.user_id, "de-AT", "/verify-email#token=abc".to_owned()))
    })
    .await;
    let (_running, catcher) = run(&bed).await;
    bed.publish(&UserEmailVerificationRequested { user_id: user }).await;
    let sent = mail(catcher, user, "Bitte bestätigen Sie Ihre E-Mail-Adresse").await;
    assert!(sent.text.contains("https://shop.example/verify-email#token=abc\n"), "{}", sent.text);
    assert!(sent.text.contains("24 Stunden"), "{}", sent.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_needed_any_more_is_not_sent() {
    let (bed, user, other) = (Bed::start().await, UserId::new(), UserId::new());
    bed.answer::<GetEmailVerificationMail>(move |question| {
        if question.user_id == user {
            return Err(Unknown::Unknown);
        }
        Ok(mail_to(question.user_id, "en", "/verify-email#token=abc".to_owned()))
    })
    .await;
    let (_running, catcher) = run(&bed).await;
    for user_id in [user, other] {
        bed.publish(&UserEmailVerificationRequested { user_id }).await;
    }
    mail(catcher, other, "Please confirm").await;
    assert_eq!(entries(&bed, user).await, []);
    assert!(bed.dead_letters().await.is_empty());
}
