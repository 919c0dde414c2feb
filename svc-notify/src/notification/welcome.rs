//! `notify-welcome`: someone registered, so they are welcomed.

use nats::{
    consume::{Failure, Received},
    contracts::user::{GetUserDetails, UserRegistered},
    database::Tx,
    invoke::CallError,
};
use serde::Serialize;

use super::{Addressee, Occasion, queue};
use crate::{
    Notify,
    mail::{Template, text},
};

/// What the mail is made of.
#[derive(Debug, Serialize)]
pub(crate) struct Welcome {
    /// What to call them, if that can be said.
    pub(crate) name: Option<String>,
}

/// Writes the mail.
pub(crate) async fn registered(tx: &mut Tx, notify: Notify, received: Received<UserRegistered>) -> Result<(), Failure> {
    let user = match notify.calls.call(&GetUserDetails { user_id: received.event.user_id }).await {
        Ok(user) => user,
        Err(CallError::Refused(_)) => {
            tracing::info!(user = %received.event.user_id, "the account is gone; nobody is welcomed");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let to = Addressee { user_id: Some(user.user_id), email: &user.email, locale: &user.locale, wanted: true };
    let occasion = Occasion { event_id: received.id, order_id: None };
    queue(tx, &notify, occasion, Template::Welcome, to, &Welcome { name: text::name(&user.name) }).await
}
