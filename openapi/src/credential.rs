//! What a request brings along to say who asks: an access token ([`crate::token`]), an API key ([`crate::api_key`]), or, for a
//! stream, a ticket (`realtime`).
//!
//! A token lets its user do what the user's permissions let do. A key does less: of that, only what one of its scopes names
//! ([`crate::route::Operation::scope`]), and nothing that has to do with sessions and keys.

use std::sync::Arc;

use nats::{
    contracts::user::VerifiedApiKey,
    identity::{Identity, Permissions},
    problem::{Code, Problem},
    types::ApiKeyId,
};
use poem::{Request, http::header};

use crate::{
    Shared,
    api_key::ApiKeys,
    limit::Who,
    realtime::{self, Listener},
    route::Operation,
    token::now,
};

/// How long a stream lasts that an API key opened, in seconds.
const KEY_LISTENS_S: u64 = 600;

/// Who asks, and by what that is known.
pub(crate) enum Credential {
    /// An access token, and when it ends, in seconds since 1970.
    Token(Identity, u64),
    /// An API key.
    Key(Identity, Arc<VerifiedApiKey>),
    /// A ticket, used up by now. It lets listen, and nothing else.
    Ticket(Identity, Listener),
}

impl Credential {
    /// What the request brings; `None` when it brings nothing.
    ///
    /// # Errors
    /// Those of [`crate::token::Tokens::identify`] and [`ApiKeys::verify`]; `unauthenticated` when it is neither.
    pub(crate) async fn of(request: &Request, operation: &Operation, shared: &Shared) -> Result<Option<Self>, Problem> {
        let Some(authorization) = request.headers().get(header::AUTHORIZATION) else {
            return match realtime::brought(request).filter(|_| operation.takes_ticket) {
                Some(ticket) => Self::redeemed(ticket, request, operation, shared).await.map(Some),
                None => Ok(None),
            };
        };
        let refused = || {
            let detail = "Send an access token or an API key as `Authorization: Bearer …`.";
            Problem::new(Code::Unauthenticated, detail)
        };
        let (scheme, secret) = authorization.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(refused)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(refused());
        }
        if !ApiKeys::is_one(secret) {
            let (identity, end) = shared.tokens.identify(secret).await?;
            return Ok(Some(Self::Token(identity, end)));
        }
        let key = shared.api_keys.verify(secret, shared.limiter.whoever(request)).await?;
        let (roles, permissions) = (key.roles.clone(), Permissions::named(&key.permissions));
        let identity = Identity { user: key.user_id, session: None, roles, permissions };
        Ok(Some(Self::Key(identity, key)))
    }

    /// Whom a ticket lets in. Tickets are counted by the address as well, before they are looked up: so nobody looks up many.
    async fn redeemed(
        ticket: &str,
        request: &Request,
        operation: &Operation,
        shared: &Shared,
    ) -> Result<Self, Problem> {
        let counted = shared.limiter.count(operation.class, shared.limiter.whoever(request)).await;
        if !counted.taken() {
            return Err(counted.refusal());
        }
        let listener = shared.realtime.redeem(ticket).await?;
        let (user, session) = (listener.user, listener.session);
        let identity = Identity { user, session, roles: Vec::new(), permissions: Permissions::default() };
        Ok(Self::Ticket(identity, listener))
    }

    /// Who asks.
    pub(crate) const fn identity(&self) -> &Identity {
        match self {
            Self::Token(identity, _) | Self::Key(identity, _) | Self::Ticket(identity, _) => identity,
        }
    }

    /// Who listens, and for how long at most.
    pub(crate) fn listener(&self) -> Listener {
        let (user, session, api_key) = (self.identity().user, self.identity().session, self.api_key());
        let until = match self {
            Self::Token(_, end) => *end,
            // As long as a token: then the key is asked about again.
            Self::Key(_, key) => {
                u64::try_from(key.expires_at.timestamp()).unwrap_or_default().min(now().saturating_add(KEY_LISTENS_S))
            }
            Self::Ticket(_, listener) => listener.until,
        };
        Listener { user, session, api_key, until }
    }

    /// Which API key it is, if it is one.
    pub(crate) fn api_key(&self) -> Option<ApiKeyId> {
        match self {
            Self::Token(..) => None,
            Self::Key(_, key) => Some(key.api_key_id),
            Self::Ticket(_, listener) => listener.api_key,
        }
    }

    /// Whom its requests are counted for.
    pub(crate) fn who(&self) -> Who {
        match self {
            Self::Token(identity, _) | Self::Ticket(identity, _) => Who::User(identity.user),
            Self::Key(_, key) => Who::ApiKey(key.api_key_id),
        }
    }

    /// Whether it can be used for this operation.
    ///
    /// # Errors
    /// `forbidden`, with the scope that is missing.
    pub(crate) fn permits(&self, operation: &Operation) -> Result<(), Problem> {
        let Self::Key(_, key) = self else { return Ok(()) };
        let Some(needed) = &operation.scope else {
            return Err(Problem::new(Code::Forbidden, "This cannot be done with an API key. Sign in to do it."));
        };
        if covers(&key.scopes, needed) {
            return Ok(());
        }
        Err(Problem::new(Code::Forbidden, format!("This API key does not have the scope `{needed}`.")))
    }
}

/// Whether one of the scopes is the one that is needed, or includes it: who may write may read.
fn covers(scopes: &[String], needed: &str) -> bool {
    let writing = needed.strip_suffix(":read").map(|resource| format!("{resource}:write"));
    scopes.iter().any(|scope| scope == needed || Some(scope) == writing.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_write_may_read_and_not_the_other_way_round() {
        for (scopes, needed, covered) in [
            ("order:read", "order:read", true),
            ("order:write", "order:read", true),
            ("order:write", "order:write", true),
            ("catalog:write order:read", "order:read", true),
            ("order:read", "order:write", false),
            ("catalog:write", "order:read", false),
            ("orders:write", "order:read", false),
            ("order:refund", "order:read", false),
            ("", "order:read", false),
        ] {
            let scopes: Vec<String> = scopes.split(' ').map(str::to_owned).collect();
            assert_eq!(covers(&scopes, needed), covered, "{scopes:?} for {needed}");
        }
    }
}
