//! What endpoints ask for, and get: the identity, once it may come in.

use std::marker::PhantomData;

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};

use super::{Identity, Needed, Permission};
use crate::{
    problem::{Code, Problem},
    types::UserId,
};

/// The name of the one security scheme there is.
pub(super) const BEARER: &str = "bearer";

fn signed_in(request: &Request) -> Result<Identity, Problem> {
    Identity::read(request)
        .ok_or_else(|| Problem::new(Code::Unauthenticated, "This needs an access token: `Authorization: Bearer …`."))
}

/// Whoever asks, when they hold this permission.
pub(super) fn holding(request: &Request, permission: Permission) -> Result<Identity, Problem> {
    let identity = signed_in(request)?;
    if identity.holds(permission) {
        Ok(identity)
    } else {
        Err(Problem::new(Code::Forbidden, format!("This needs the permission `{}`.", permission.as_str())))
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
                registry.create_security_scheme(BEARER, bearer());
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![BEARER]
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

/// Whoever is signed in, and whose things they reach: their own, or with the permission `P` anyone's.
#[derive(Debug, Clone)]
pub struct OwnerOr<P> {
    identity: Identity,
    permission: PhantomData<fn() -> P>,
}

impl<P: Needed> OwnerOr<P> {
    /// Who.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether what belongs to `owner` is theirs to reach.
    pub fn reaches(&self, owner: UserId) -> bool {
        self.identity.reaches(owner, P::PERMISSION)
    }

    /// Whether they reach what is anyone's.
    pub fn reaches_all(&self) -> bool {
        self.identity.holds(P::PERMISSION)
    }
}

impl<'a, P: Needed> ApiExtractor<'a> for OwnerOr<P> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(BEARER, bearer());
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![P::SCHEME_UNLESS_OWN]
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> poem::Result<Self> {
        Ok(Self { identity: signed_in(request)?, permission: PhantomData })
    }
}

pub(super) fn bearer() -> MetaSecurityScheme {
    MetaSecurityScheme {
        ty: "http",
        description: Some(
            "An access token from /v1/auth/login (a JWT, RFC 9068, ES256, valid for ten minutes), or an API key from /v1/api-keys. \
             A key may do what its owner may within its scopes: GET needs `<service>:read`, all else `<service>:write`. \
             An operation's `x-argosy-permission` is what its caller has to hold, by one of their roles; \
             `x-argosy-permission-unless-own` what they have to hold for what is somebody else's.",
        ),
        name: None,
        key_in: None,
        scheme: Some("bearer"),
        bearer_format: Some("JWT"),
        flows: None,
        openid_connect_url: None,
    }
}
