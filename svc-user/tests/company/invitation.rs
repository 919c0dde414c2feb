use nats::{
    contracts::user::{
        Unknown,
        company::{CompanyInvitationMail, CompanyInvitationRequested, GetCompanyInvitationMail},
    },
    invoke::CallError,
    types::{
        CompanyRole::{Admin, Owner},
        InvitationId,
    },
};
use serde_json::{Value, json};
use stack::{
    Bed,
    bed::{Answer, Client},
};

use super::{Company, entries, person};
use crate::{count, sql, start};

const ACCEPT: &str = "/v1/company-invitations/accept";

async fn invite(company: &Company, email: &str, role: &str) -> Answer {
    company.owner.post(&company.at("invitations"), &json!({"email": email, "role": role})).send().await
}

async fn invited(company: &Company, email: &str, role: &str) -> InvitationId {
    let answer = invite(company, email, role).await;
    assert_eq!(answer.status, 201, "{answer}");
    answer.text("/id").parse().unwrap()
}

async fn mail_of(bed: &Bed, invitation_id: InvitationId) -> CompanyInvitationMail {
    bed.call(&GetCompanyInvitationMail { invitation_id }).await.unwrap_or_else(|error| panic!("{error}"))
}

fn token(mail: &CompanyInvitationMail) -> String {
    mail.link.strip_prefix("/company-invitation#token=").expect("the link").to_owned()
}

async fn accept(client: &Client, token: &str) -> Answer {
    client.post(ACCEPT, &json!({ "token": token })).send().await
}

/// Somebody who registered, and came back with the link of the mail.
async fn verified(bed: &Bed, email: &str) -> Client {
    let client = person(bed, email).await;
    sql(bed, &format!("update \"user\" set email_verified_at = now() where email = '{email}'")).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_invited_becomes_a_member_with_the_link_of_the_mail() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let answer = invite(&company, "bo@example.com", "buyer").await;
    assert_eq!((answer.status, answer.at("/state")), (201, &json!("open")), "{answer}");
    let id: InvitationId = answer.text("/id").parse().unwrap();
    let event = company.bed.event::<CompanyInvitationRequested>(|event| event.invitation_id == id).await;
    assert_eq!(event.company_id, company.id());

    let mail = mail_of(&company.bed, id).await;
    assert_eq!((mail.user_id, mail.name.as_deref(), mail.locale.as_str()), (None, None, "en"), "nobody yet");
    assert_eq!((mail.email.as_str(), mail.company.as_str()), ("bo@example.com", "Kontor"));
    assert_eq!(mail.inviter, "Ada Lovelace");
    let bo = verified(&company.bed, "BO@example.com").await;
    let accepted = accept(&bo, &token(&mail)).await;
    assert_eq!((accepted.status, accepted.header("location")), (201, Some(company.path.as_str())), "{accepted}");
    assert_eq!(accepted.at("/role"), "buyer");
    assert_eq!(bo.get(&company.path).send().await.json, accepted.json);
    let listed = company.owner.get(&company.at("invitations")).send().await;
    assert_eq!((entries(&listed), listed.at("/data/0/state")), (1, &json!("accepted")));
    accept(&bo, &token(&mail)).await.problem("invalid_request", "/token");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_an_account_is_written_to_in_their_language() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let bo = person(&company.bed, "bo@example.com").await;
    bo.patch("/v1/users/me", &json!({"locale": "de-AT", "name": "Bo"})).send().await;
    let mail = mail_of(&company.bed, invited(&company, "Bo@Example.com", "viewer").await).await;
    assert_eq!((mail.user_id, mail.name.as_deref(), mail.locale.as_str()), (Some(bo.user_id()), Some("Bo"), "de-AT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_for_the_verified_owner_of_the_address_alone() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let token = token(&mail_of(&company.bed, invited(&company, "bo@example.com", "viewer").await).await);
    let eve = verified(&company.bed, "eve@example.com").await;
    accept(&eve, &token).await.problem("forbidden", "");
    let bo = person(&company.bed, "bo@example.com").await;
    accept(&bo, &token).await.problem("conflict", "");
    accept(&company.bed.customer(), &token).await.problem("not_found", "");
    accept(&company.bed.nobody(), &token).await.problem("unauthenticated", "");
    sql(&company.bed, "update \"user\" set email_verified_at = now()").await;
    assert_eq!(accept(&bo, &token).await.status, 201, "none of these used it up");
    for worthless in ["", "x", &"A".repeat(43), &"A".repeat(5000)] {
        accept(&eve, worthless).await.problem("invalid_request", "/token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_twice_at_once_it_works_once() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let token = token(&mail_of(&company.bed, invited(&company, "bo@example.com", "viewer").await).await);
    let bo = verified(&company.bed, "bo@example.com").await;
    let (one, two) = tokio::join!(accept(&bo, &token), accept(&bo, &token));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422], "{one} {two}");
    assert_eq!(count(&company.bed, "company_member").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_gone_or_may_do_less_brings_nobody_in() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let bo = company.member("bo@example.com", Admin).await;
    let asked = bo.post(&company.at("invitations"), &json!({"email": "eve@example.com", "role": "admin"})).send().await;
    assert_eq!(asked.status, 201, "{asked}");
    let token = token(&mail_of(&company.bed, asked.text("/id").parse().unwrap()).await);
    let eve = verified(&company.bed, "eve@example.com").await;
    let become_a = async |role: &str| {
        let path = company.at(&format!("members/{}", bo.user_id()));
        let changed = company.owner.patch(&path, &json!({ "role": role })).send().await;
        assert_eq!(changed.status, 200, "{changed}");
    };

    become_a("viewer").await;
    accept(&eve, &token).await.problem("invalid_request", "/token");
    become_a("admin").await;

    assert_eq!(accept(&eve, &token).await.status, 201, "what was refused was not used up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_mail_a_revocation_and_a_week_end_a_link() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let bo = verified(&company.bed, "bo@example.com").await;
    let id = invited(&company, "bo@example.com", "viewer").await;
    let first = token(&mail_of(&company.bed, id).await);
    let second = token(&mail_of(&company.bed, id).await);
    accept(&bo, &first).await.problem("invalid_request", "/token");
    sql(&company.bed, "update company_invitation set expires_at = now()").await;
    accept(&bo, &second).await.problem("invalid_request", "/token");
    let over = company.bed.call(&GetCompanyInvitationMail { invitation_id: id }).await;
    assert!(matches!(over, Err(CallError::Refused(Unknown::Unknown))), "no mail any more");
    assert_eq!(company.owner.get(&company.at("invitations")).send().await.at("/data/0/state"), "expired");

    sql(&company.bed, "update company_invitation set next_mail_at = now()").await;
    let path = company.at(&format!("invitations/{id}"));
    let again = company.owner.request("POST", &format!("{path}/resend")).send().await;
    assert_eq!((again.status, again.at("/state")), (200, &json!("open")), "{again}");
    let third = token(&mail_of(&company.bed, id).await);
    assert_eq!(company.owner.delete(&path).send().await.status, 204);
    assert_eq!(company.owner.delete(&path).send().await.status, 204, "once more changes nothing");
    accept(&bo, &third).await.problem("invalid_request", "/token");
    company.owner.request("POST", &format!("{path}/resend")).send().await.problem("conflict", "");
    assert_eq!(invite(&company, "bo@example.com", "viewer").await.status, 201, "there is room for another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_asked_for_after_a_pause_that_grows() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let id = invited(&company, "bo@example.com", "viewer").await;
    let path = company.at(&format!("invitations/{id}/resend"));
    let resend = async || company.owner.request("POST", &path).send().await;
    let waits = async || {
        let refused = resend().await;
        refused.problem("too_many_requests", "");
        refused.header("retry-after").expect("how long").parse::<u64>().unwrap()
    };
    assert!((50..=60).contains(&waits().await), "a minute after the first");
    for minutes in [2, 4, 8] {
        sql(&company.bed, "update company_invitation set next_mail_at = now()").await;
        assert_eq!(resend().await.status, 200);
        let seconds = waits().await;
        assert!((minutes * 60 - 10..=minutes * 60).contains(&seconds), "{seconds} s");
    }
    let requests = company.bed.events::<CompanyInvitationRequested>(|event| event.invitation_id == id).await;
    assert!(requests.len() <= 4, "no mail was asked for while waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_flooded_with_invitations() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    for number in 0..5 {
        invited(&company, &format!("guest{number}@example.com"), "viewer").await;
    }
    invite(&company, "one-more@example.com", "viewer").await.problem("too_many_requests", "");
    company.approved().await;
    invited(&company, "one-more@example.com", "viewer").await;
    for _ in 0..5 {
        let id = invited(&company, "Bo@example.com", "viewer").await;
        assert_eq!(company.owner.delete(&company.at(&format!("invitations/{id}"))).send().await.status, 204);
    }
    invite(&company, "bo@EXAMPLE.com", "viewer").await.problem("too_many_requests", "");
    sql(&company.bed, "update company_invitation set created_at = now() - interval '1 day'").await;
    invited(&company, "bo@example.com", "viewer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_or_invited_already_is_not_invited_again() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    invite(&company, "ADA@example.com", "viewer").await.problem("conflict", "/email");
    invited(&company, "bo@example.com", "viewer").await;
    invite(&company, "BO@example.com", "admin").await.problem("conflict", "/email");
    sql(&company.bed, "update company_invitation set expires_at = now()").await;
    invited(&company, "BO@example.com", "admin").await;
    let keyed = json!({"email": "cy@example.com", "role": "viewer"});
    let first = company.owner.post(&company.at("invitations"), &keyed).key("k1").send().await;
    let again = company.owner.post(&company.at("invitations"), &keyed).key("k1").send().await;
    assert_eq!((again.status, &again.json), (201, &first.json), "a key makes it happen once: {again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_owners_invite_owners() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let (admin, owner) =
        (company.member("al@example.com", Admin).await, company.member("olga@example.com", Owner).await);
    let path = company.at("invitations");
    let new = json!({"email": "bo@example.com", "role": "owner"});
    admin.post(&path, &new).send().await.problem("forbidden", "");
    let id = owner.post(&path, &new).send().await.text("/id");
    admin.delete(&format!("{path}/{id}")).send().await.problem("forbidden", "");
    for (body, pointer) in [
        (json!({"email": "bo", "role": "viewer"}), "/email"),
        (json!({"email": "bo@example.com", "role": "king"}), "/role"),
        (json!({"email": "bo@example.com"}), "/role"),
        (json!({"email": "bo@example.com", "role": "viewer", "note": "hi"}), "/note"),
    ] {
        admin.post(&path, &body).send().await.problem("invalid_request", pointer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_of_another_company_do_not_exist() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let id = invited(&company, "bo@example.com", "viewer").await;
    let eve = person(&company.bed, "eve@example.com").await;
    let other = super::company_of(&eve).await;
    eve.delete(&format!("{other}/invitations/{id}")).send().await.problem("not_found", "");
    eve.request("POST", &format!("{other}/invitations/{id}/resend")).send().await.problem("not_found", "");
    assert_eq!(eve.get(&format!("{other}/invitations")).send().await.at("/data"), &json!([]));
    assert_eq!(eve.get(&company.at("invitations")).send().await.at("/data"), &Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_a_token_is_none_and_old_invitations_are_forgotten() {
    let (bed, running) = start().await;
    let company = Company::of_ada(bed).await;
    let token = token(&mail_of(&company.bed, invited(&company, "bo@example.com", "viewer").await).await);
    let same = format!("company_invitation where translate(encode(token_hash, 'base64'), '+/=', '-_') = '{token}'");
    assert_eq!(count(&company.bed, &same).await, 0);
    sql(&company.bed, "update company_invitation set expires_at = now() - interval '31 days'").await;
    // The job runs at the start, and then every hour.
    running.stop().await;
    let _again = company.bed.run(svc_user::service()).await;
    let gone = async || (count(&company.bed, "company_invitation").await == 0).then_some(());
    company.bed.wait_for("the invitation to go", gone).await;
}
