//! `notify-company-invitation`: somebody is to become a member of a company, so a link goes to them.
//!
//! svc-user makes the link when it is asked for it, so whatever is asked last has the one that works. The names in it were
//! chosen by people whom the reader may not know: what is no name is left out (see [`text::name`]).

use nats::{
    consume::{Failure, Received},
    contracts::user::company::{CompanyInvitationRequested, GetCompanyInvitationMail},
    database::Tx,
    invoke::CallError,
};
use serde::Serialize;

use super::{Addressee, Occasion, queue};
use crate::{
    Notify,
    mail::{Template, text},
};

// Not `Debug`: the link works for whoever reads mail at that address.
/// What the mail is made of.
#[derive(Serialize)]
pub(crate) struct InvitationMailData {
    /// What to call whoever is invited, if that can be said.
    pub(crate) name: Option<String>,
    /// The company's name, if that can be said.
    pub(crate) company: Option<String>,
    /// The name of whoever invites, if that can be said.
    pub(crate) inviter: Option<String>,
    pub(crate) link_url: String,
}

/// Writes the mail, unless svc-user says that there is nothing to write.
pub(crate) async fn requested(
    tx: &mut Tx,
    notify: Notify,
    received: Received<CompanyInvitationRequested>,
) -> Result<(), Failure> {
    let invitation_id = received.event.invitation_id;
    let invitation = match notify.calls.call(&GetCompanyInvitationMail { invitation_id }).await {
        Ok(invitation) => invitation,
        Err(CallError::Refused(_)) => {
            tracing::info!(invitation = %invitation_id, "the invitation is over; nobody is written to");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let mail = InvitationMailData {
        name: invitation.name.as_deref().and_then(text::name),
        company: text::name(&invitation.company),
        inviter: text::name(&invitation.inviter),
        link_url: notify.templates.public_url().at(&invitation.link),
    };
    let to =
        Addressee { user_id: invitation.user_id, email: &invitation.email, locale: &invitation.locale, wanted: true };
    let occasion = Occasion { event_id: received.id, order_id: None };
    queue(tx, &notify, occasion, Template::CompanyInvitation, to, &mail).await
}
