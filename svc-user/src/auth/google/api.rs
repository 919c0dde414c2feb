//! Signing in with Google: away, back, and on with tokens.

use nats::{http::Body, problem::Problem};
use poem::web::Data;
use poem_openapi::{ApiResponse, OpenApi, Tags, param::Query, payload::Response};

use super::{
    browser::{self, Known},
    callback::{self, Answer},
    exchange::{self, Exchange},
    return_to::ReturnTo,
    start::{self, Sent},
};
use crate::{
    Users,
    auth::{TokenAnswer, api::unstored},
    session::device::Device,
};

#[derive(Tags)]
enum Tag {
    /// Accounts and tokens.
    Authentication,
}

/// Where the browser goes next.
#[derive(ApiResponse)]
enum SeeOther {
    /// To the provider, or to the shop's page `/sign-in`.
    #[oai(status = 303)]
    There(
        /// Where.
        #[oai(header = "Location")]
        String,
        /// What the browser keeps until it has tokens.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

impl From<Sent> for SeeOther {
    fn from(Sent { location, cookie }: Sent) -> Self {
        Self::There(location, cookie)
    }
}

/// The endpoints of signing in with Google.
pub struct GoogleApi;

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl GoogleApi {
    /// Sign in with Google
    ///
    /// A page for browsers, not for programs: have the browser go here. It goes on to Google, from there back to us, and ends
    /// at the shop's page `/sign-in`, with `#code=…&return_to=…`, or with `#error=…`: `access_denied`, `expired`,
    /// `state_mismatch`, `provider_unavailable`, `provider_error` or `email_not_verified`. The page exchanges the code with
    /// `POST /v1/auth/exchange`. `not_configured` where nobody signs in with Google.
    #[oai(path = "/google", method = "get", operation_id = "start_google_sign_in")]
    async fn start_google_sign_in(
        &self,
        Data(users): Data<&Users>,
        /// Where in the shop the person wants to go then: a path, such as `/orders`; `/` when absent.
        return_to: Query<Option<ReturnTo>>,
    ) -> Result<SeeOther, Problem> {
        Ok(start::start(users, return_to.0.unwrap_or_default()).await?.into())
    }

    /// Come back from Google
    ///
    /// Where Google sends the browser. It works once, for ten minutes, and for the browser that began. `not_configured` where
    /// nobody signs in with Google. `not_configured` where
    /// nobody signs in with Google.
    #[oai(path = "/google/callback", method = "get", operation_id = "finish_google_sign_in")]
    async fn finish_google_sign_in(
        &self,
        Data(users): Data<&Users>,
        Known(browser): Known,
        /// What was sent along.
        state: Query<Option<String>>,
        /// What brings the provider's tokens.
        code: Query<Option<String>>,
        /// What went wrong there (RFC 6749, 4.1.2.1).
        error: Query<Option<String>>,
        /// Who says so (RFC 9207).
        iss: Query<Option<String>>,
    ) -> Result<SeeOther, Problem> {
        let answer = Answer { state: state.0, code: code.0, error: error.0, iss: iss.0 };
        Ok(callback::callback(users, browser, answer).await?.into())
    }

    /// Exchange the code of a sign-in with Google
    ///
    /// For the shop's page, from the same origin: the browser's cookie comes along. A code works once, for a minute, and for
    /// the browser that began; any other is an `invalid_request` at `/code`. Opens a session, as signing in with a password
    /// does.
    #[oai(path = "/exchange", method = "post", operation_id = "exchange_sign_in_code")]
    async fn exchange_sign_in_code(
        &self,
        Data(users): Data<&Users>,
        Known(browser): Known,
        device: Device,
        Body(exchange): Body<Exchange>,
    ) -> Result<Response<Body<TokenAnswer>>, Problem> {
        let answer = exchange::exchange(users, browser, exchange, &device).await?;
        Ok(unstored(answer.user_id(), Body(answer)).header("Set-Cookie", browser::forget()))
    }
}
