//! Who can have a cart at all: whoever is signed in, or shows a guest's token.
//!
//! Found out before the body is read: who brings neither is told so, and not what is wrong with a body that nobody takes.

use nats::identity::{Identity, Visitor};
use poem::{Request, RequestBody};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions, registry::Registry};

use super::{CART_TOKEN, Shopper};

/// Someone with a token of either kind; who it is, when it was an access token.
#[derive(Debug, Clone)]
pub(super) struct Someone(pub(super) Option<Identity>);

impl<'a> ApiExtractor<'a> for Someone {
    const TYPES: &'static [ApiExtractorType] = Visitor::TYPES;
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Visitor::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        Visitor::security_schemes()
    }

    fn has_security_fallback() -> bool {
        true
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let Visitor(visitor) = Visitor::from_request(request, body, options).await?;
        if visitor.is_none() && request.header(CART_TOKEN).is_none() {
            return Err(Shopper::unknown().into());
        }
        Ok(Self(visitor))
    }
}
