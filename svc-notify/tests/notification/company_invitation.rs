//! CompanyInvitationRequested → company_invitation

use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::{
        Unknown,
        company::{CompanyInvitationMail, CompanyInvitationRequested, GetCompanyInvitationMail},
    },
    types::{CompanyId, InvitationId, UserId},
};
use stack::bed::Bed;

use super::given::{address, entries, logged, mail, mails_to, run};

/// What svc-user says of an invitation to a user's address.
fn invitation(to: UserId, known: bool) -> CompanyInvitationMail {
    CompanyInvitationMail {
        user_id: known.then_some(to),
        email: address(to).parse().unwrap(),
        name: known.then(|| "Bo Becker".to_owned()),
        locale: "en".parse().unwrap(),
        company: "Kontor & Söhne GmbH".to_owned(),
        inviter: "Ada Lovelace".to_owned(),
        link: "/company-invitation#token=abc".to_owned(),
    }
}

fn requested() -> CompanyInvitationRequested {
    CompanyInvitationRequested { company_id: CompanyId::new(), invitation_id: InvitationId::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_invited_gets_one_link_however_often_the_event_comes() {
    let (bed, to) = (Bed::start().await, UserId::new());
    bed.answer::<GetCompanyInvitationMail>(move |_| Ok(invitation(to, true))).await;
    let (_running, catcher) = run(&bed).await;
    bed.publish_twice(&requested()).await;
    let sent = mail(catcher, to, "You are invited to join Kontor & Söhne GmbH").await;
    assert!(sent.text.contains("https://shop.example/company-invitation#token=abc\n"), "{}", sent.text);
    assert!(sent.text.contains("Hello Bo Becker,") && sent.text.contains("Ada Lovelace invites you"), "{}", sent.text);
    logged(&bed, to, "it is sent", |entry| entry.state == "sent").await;
    assert_eq!((entries(&bed, to).await.len(), mails_to(catcher, to).await), (1, 1));
    let kept = diesel::sql_query("delete from mail").execute(&mut bed.sql("notify").await).await.unwrap();
    assert_eq!(kept, 0, "the link is not kept once it is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_without_an_account_is_greeted_without_a_name() {
    let (bed, to) = (Bed::start().await, UserId::new());
    let advertised = CompanyInvitationMail {
        company: "Win at https://casino.example".to_owned(),
        inviter: "casino.example".to_owned(),
        locale: "de".parse().unwrap(),
        ..invitation(to, false)
    };
    bed.answer::<GetCompanyInvitationMail>(move |_| Ok(advertised.clone())).await;
    let (_running, catcher) = run(&bed).await;
    bed.publish(&requested()).await;
    let sent = mail(catcher, to, "Einladung zu einem Unternehmen").await;
    assert!(sent.text.contains("Guten Tag,") && sent.text.contains("Sie sind eingeladen"), "{}", sent.text);
    assert!(!sent.text.contains("casino") && !sent.html.contains("casino"), "no advertisement is sent: {}", sent.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_that_is_over_is_not_sent() {
    let (bed, to) = (Bed::start().await, UserId::new());
    let (over, open) = (requested(), requested());
    let id = over.invitation_id;
    bed.answer::<GetCompanyInvitationMail>(move |question| {
        if question.invitation_id == id { Err(Unknown::Unknown) } else { Ok(invitation(to, true)) }
    })
    .await;
    let (_running, catcher) = run(&bed).await;
    for event in [&over, &open] {
        bed.publish(event).await;
    }
    mail(catcher, to, "You are invited").await;
    assert_eq!(mails_to(catcher, to).await, 1);
    assert!(bed.dead_letters().await.is_empty());
}
