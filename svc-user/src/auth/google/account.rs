//! Whose account it is that a person signs in to: found by issuer and subject, else by an address that both sides have
//! verified, else new.
//!
//! Trap: an account can be somebody else's than the address says. Who registers with another one's address cannot verify it,
//! but can wait until its owner signs in with Google, and then has the password of an account that is the owner's ("classic
//! federated merge", Sudhodanan and Paverd, 2022). So the owner, whom Google vouches for, gets such an account without its
//! past: password, sessions, API keys and links end, as they do when a password is reset. Refusing instead would let anybody
//! keep anybody from signing in.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, dsl::now, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::UserRegistered,
    database::{DatabaseError, Tx},
    problem::{Code, Problem},
    types::{Email, ExternalIdentityId, Name, UserId},
};

use super::verify::Person;
use crate::{
    Users,
    api_key::revoke::revoke_all,
    auth::mail_token::{self, Purpose},
    schema::{external_identity, user},
    session::{EndReason, Session},
    user::{Account, NewAccount},
};

/// How often it is tried: what another request of the same person wrote meanwhile is found the next time.
const ATTEMPTS: usize = 3;

/// The identity of this person, and with it the account; `None` for a stranger whose address nobody vouches for.
pub(super) async fn of(users: &Users, person: Person) -> Result<Option<ExternalIdentityId>, Problem> {
    for _ in 0..ATTEMPTS {
        let mut tx = users.database.begin().await?;
        let found = match known(&mut tx, &person).await? {
            Some(identity) => Some(identity),
            None => match &person.email {
                None => return Ok(None),
                Some(email) => linked(&mut tx, &person, email).await?,
            },
        };
        if let Some(identity) = found {
            tx.commit().await?;
            return Ok(Some(identity));
        }
        tx.roll_back().await?;
    }
    Err(Problem::new(Code::Unavailable, "The account is being changed at this moment. Sign in again."))
}

/// The identity that was linked before.
async fn known(tx: &mut Tx, person: &Person) -> Result<Option<ExternalIdentityId>, DatabaseError> {
    let known = external_identity::table
        .filter(external_identity::issuer.eq(&person.issuer))
        .filter(external_identity::subject.eq(&person.subject));
    // What is not vouched for any more stays what it was.
    let email = person.email.as_ref().map(Email::as_str);
    let used = diesel::update(known)
        .set((external_identity::last_used_at.eq(now), email.map(|email| external_identity::email.eq(email))))
        .returning(external_identity::id)
        .get_result(tx)
        .await;
    Ok(used.optional()?)
}

/// A new identity, of the account with this address or of a new one; `None` when somebody else was faster.
async fn linked(tx: &mut Tx, person: &Person, email: &Email) -> Result<Option<ExternalIdentityId>, Problem> {
    let account = match Account::with_email(tx, email).await? {
        Some(account) => existing(tx, account.id).await?,
        None => registered(tx, person, email).await?,
    };
    let Some(user_id) = account else { return Ok(None) };
    let id = ExternalIdentityId::new();
    let fresh = insert_into(external_identity::table)
        .values((
            external_identity::id.eq(id),
            external_identity::user_id.eq(user_id),
            external_identity::issuer.eq(&person.issuer),
            external_identity::subject.eq(&person.subject),
            external_identity::email.eq(email.as_str()),
        ))
        .on_conflict_do_nothing()
        .execute(tx)
        .await?;
    if fresh == 0 {
        return Ok(None);
    }
    tracing::info!(%user_id, "an external identity is linked");
    Ok(Some(id))
}

/// The account as it is under its lock. One whose address was never verified loses its past.
async fn existing(tx: &mut Tx, id: UserId) -> Result<Option<UserId>, DatabaseError> {
    if Account::lock(tx, id).await?.is_none() {
        return Ok(None);
    }
    let Some(account) = Account::find(tx, id).await? else { return Ok(None) };
    if account.email_verified_at.is_some() {
        return Ok(Some(id));
    }
    diesel::update(user::table.find(id))
        .set((user::password_hash.eq(None::<String>), user::email_verified_at.eq(now), user::updated_at.eq(now)))
        .execute(tx)
        .await?;
    for purpose in [Purpose::PasswordReset, Purpose::EmailVerification] {
        mail_token::revoke(tx, id, purpose).await?;
    }
    Session::end_all(tx, id, None, EndReason::Claimed).await?;
    revoke_all(tx, id).await?;
    tracing::info!(user_id = %id, "claimed by the owner of its address; password, sessions and API keys are ended");
    Ok(Some(id))
}

/// A new account without a password, its address verified; `None` when the address was taken meanwhile.
async fn registered(tx: &mut Tx, person: &Person, email: &Email) -> Result<Option<UserId>, Problem> {
    let name = person.name.clone().or_else(|| called(email));
    let new = NewAccount {
        id: UserId::new(),
        email: email.clone(),
        name: name.ok_or_else(|| Problem::internal("an e-mail address that begins with nothing"))?,
        password_hash: None,
        locale: person.locale.clone().unwrap_or_default(),
    };
    let Some(account) = new.insert(tx).await? else { return Ok(None) };
    diesel::update(user::table.find(account.id)).set(user::email_verified_at.eq(now)).execute(tx).await?;
    tx.record(&UserRegistered { user_id: account.id }).await?;
    Ok(Some(account.id))
}

/// What to call somebody of whom only the address is known: the part before the `@`.
fn called(email: &Email) -> Option<Name> {
    email.as_str().split_once('@').and_then(|(local, _)| local.parse().ok())
}
