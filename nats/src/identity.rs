//! Who is asking: verified by the gateway, passed on in headers, required by extractors.
//!
//! | extractor | who passes | who does not |
//! |---|---|---|
//! | [`Visitor`] | anyone; tells who, when known | — |
//! | [`User`] | whoever is signed in | 401 |
//! | [`Staff`] | roles `staff` and `admin` | 401, 403 |
//! | [`Admin`] | role `admin` | 401, 403 |
//!
//! Trap: a role says what kind of thing one may do; whose thing it is stands in the query
//! ([`Identity::may_see`], `filter(user_id.eq(…))`).

use async_nats::{HeaderMap, HeaderValue};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, Enum, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};
use serde::{Deserialize, Serialize};

use crate::{
    problem::{Code, Problem},
    types::{SessionId, UserId},
};

const USER: &str = "Argosy-User";
const SESSION: &str = "Argosy-Session";
const ROLES: &str = "Argosy-Roles";

/// What kind of thing a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum Role {
    /// Buys.
    Customer,
    /// Runs the shop.
    Staff,
    /// Runs the system.
    Admin,
}

impl Role {
    /// The name as it travels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "customer" => Ok(Self::Customer),
            "staff" => Ok(Self::Staff),
            "admin" => Ok(Self::Admin),
            _ => Err(format!("`{text}` is not a role; there are customer, staff and admin")),
        }
    }
}

/// A signed-in caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub user: UserId,
    /// In which session.
    pub session: Option<SessionId>,
    /// With which roles.
    pub roles: Vec<Role>,
}

impl Identity {
    /// Whether the caller runs the shop.
    pub fn is_staff(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::Staff | Role::Admin))
    }

    /// Whether the caller runs the system.
    pub fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }

    /// Whether a thing of `owner` is the caller's to see: its own, or anyone's for staff.
    pub fn may_see(&self, owner: UserId) -> bool {
        self.user == owner || self.is_staff()
    }

    /// Writes the identity for the next hop.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let roles: Vec<&str> = self.roles.iter().map(|role| role.as_str()).collect();
        let session = self.session.map(|session| session.to_string());
        let values = [(USER, Some(self.user.to_string())), (SESSION, session), (ROLES, Some(roles.join(",")))];
        for (name, value) in values {
            if let Some(Ok(value)) = value.map(|value| value.parse::<HeaderValue>()) {
                headers.insert(name, value);
            }
        }
    }

    fn read(request: &Request) -> Option<Self> {
        let user = request.header(USER)?.parse().ok()?;
        let session = request.header(SESSION).and_then(|session| session.parse().ok());
        let roles = request.header(ROLES).unwrap_or_default().split(',').filter_map(|role| role.parse().ok()).collect();
        Some(Self { user, session, roles })
    }
}

fn signed_in(request: &Request) -> Result<Identity, Problem> {
    Identity::read(request)
        .ok_or_else(|| Problem::new(Code::Unauthenticated, "This needs an access token: `Authorization: Bearer …`."))
}

fn with_role(request: &Request, role: Role, holds: fn(&Identity) -> bool) -> Result<Identity, Problem> {
    let identity = signed_in(request)?;
    if holds(&identity) {
        Ok(identity)
    } else {
        Err(Problem::new(Code::Forbidden, format!("This needs the role {}.", role.as_str())))
    }
}

macro_rules! extractor {
    ($(#[$meta:meta])* $name:ident($inner:ty), security: $scheme:expr, $read:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name(pub $inner);

        impl<'a> ApiExtractor<'a> for $name {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                registry.create_security_scheme("bearer", bearer());
            }

            fn security_schemes() -> Vec<&'static str> {
                vec!["bearer"]
            }

            fn has_security_fallback() -> bool {
                $scheme
            }

            async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> poem::Result<Self> {
                let read: fn(&Request) -> Result<$inner, Problem> = $read;
                Ok(Self(read(request)?))
            }
        }
    };
}

extractor! {
    /// Anyone; who it is when the request carried a token.
    Visitor(Option<Identity>), security: true, |request| Ok(Identity::read(request))
}
extractor! {
    /// Whoever is signed in.
    User(Identity), security: false, signed_in
}
extractor! {
    /// Whoever runs the shop.
    Staff(Identity), security: false, |request| with_role(request, Role::Staff, Identity::is_staff)
}
extractor! {
    /// Whoever runs the system.
    Admin(Identity), security: false, |request| with_role(request, Role::Admin, Identity::is_admin)
}

fn bearer() -> MetaSecurityScheme {
    MetaSecurityScheme {
        ty: "http",
        description: Some(
            "An access token from /v1/auth/login (a JWT, RFC 9068, ES256, valid for ten minutes), or an API key from /v1/api-keys. \
             A key may do what its owner may within its scopes: GET needs `<service>:read`, all else `<service>:write`.",
        ),
        name: None,
        key_in: None,
        scheme: Some("bearer"),
        bearer_format: Some("JWT"),
        flows: None,
        openid_connect_url: None,
    }
}
